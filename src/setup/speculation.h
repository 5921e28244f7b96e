// Speculative decoding as the command chooses it: which kind of draft and how long, from what a pass costs by its
// width, what a draft's token costs, and how many of its tokens earlier runs saw accepted (learned/learned.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/arguments.h"
#include "engine/engine_probe.h"
#include "learned/learned.h"
#include "models/modelfile.h"
#include "plan/prediction.h"
#include "plan/speculation.h"
#include "setup/draft_check.h"
#include "setup/model_setup.h"

namespace CLI {
class App;
}

namespace headrace::cli {

enum class SpeculationMode {
  kAuto,  // while weights stream: the model's own head or n-grams, where they pay; a draft model when one is named
  kOn,    // also where that is not expected to pay
  kOff,
};
std::optional<SpeculationMode> ParseSpeculationMode(const std::string& text);
const char* ToString(SpeculationMode mode);

struct SpeculationOptions {
  std::string draft;          // GGUF file of a small model, "" for none
  std::string mode;           // auto, on, off; "" when absent: auto
  uint64_t draft_tokens = 0;  // length of every draft; 0: chosen

  bool uses_draft() const { return !draft.empty() && mode != "off"; }
};
// --draft, --speculate, --draft-tokens.
void AddSpeculationOptions(CLI::App& command, SpeculationOptions& options);

enum class SpeculationKind {
  kNone,
  kNgram,  // what followed the last words when they came before: costs no computing
  kDraft,  // a small model
  kHead,   // the model's own (engine/draft_head.h)
  kUser,   // the engine's options after -- say what is done: nothing is added
};
const char* ToString(SpeculationKind kind);

struct SpeculationInput {
  const ModelSetup& model;   // after SettleMemory
  MachineProfile machine;    // zero: not measured
  const OptionNames& known;  // of llama-cli or llama-server; empty: no engine, which then can do all
  EngineArguments rest;      // the user's arguments for it
  Learned learned;
  uint64_t sequences = 1;                   // requests that are answered at a time
  std::string draft_type = "draft-simple";  // of CheckDraft
  uint64_t most_draft_tokens = UINT64_MAX;  // MostDraftTokens of the slots that there are
  bool head = false;                        // the model's own head drafts: the memory is settled with HeadArguments
  std::string why_no_head;                  // of a model that has one; "" where it was not asked for
};

struct Speculation {
  SpeculationKind kind = SpeculationKind::kNone;
  std::vector<EngineOption> options;  // for the engine, -md among them; every one is known to it
  uint64_t draft_tokens = 0;
  double acceptance = 0;                            // of a token, expected
  bool acceptance_learned = false;                  // else it is assumed
  double tokens_per_s = 0, plain_tokens_per_s = 0;  // expected, and without; of all sequences; 0: unknown
  std::string line;                                 // what was chosen and why, for people
};

// What a command does, in this order: CheckDraft where options.uses_draft(), SettleMemory with DraftArguments among the
// engine's arguments, ChooseSpeculation with LoadLearned, and after the run StoreLearned. Where MayUseHead, the memory
// is settled and chosen for once more with the head, which is used if HeadFits and HeadPays.

// What the wish decides, so that no variable of the environment does.
EngineArguments SaidOfSpeculation(const SpeculationOptions& options);

// The engine's arguments for the memory that the wish takes: -md DRAFT or nothing.
EngineArguments DraftArguments(const SpeculationOptions& options, const EngineArguments& rest);

// The longest drafts of so many slots that the engine's batch can hold; llama-server 0.7.0 aborts when one does not
// fit. `rest` are the user's arguments, `file` a Modelfile's; where neither sets the batch (-b, num_batch) it is as
// large as it must be.
uint64_t MostDraftTokens(const EngineArguments& rest, const std::vector<EngineOption>& file, uint64_t slots);

// Whether the model has a head that can draft, the engine can compute it, and nothing else was asked for. `why_not` is
// why the engine or the file does not let a head be used that the model has, or says that it has. `model` is settled
// without it.
bool MayUseHead(const SpeculationOptions& options, const EngineArguments& rest, const ModelSetup& model,
                const Engine* engine, const OptionNames& known, std::string& why_not);
// Whether what a head needs for each token stays in memory. `model` is settled with it.
bool HeadFits(const ModelSetup& model);
// Whether drafts of the head promise more than what was chosen without it. Nobody knows what n-grams gain before a run
// has shown it: then they gain nothing. Where drafts were asked for, --speculate on or their length, none at all are no
// choice.
bool HeadPays(const SpeculationOptions& options, const Speculation& with_head, const Speculation& without);

// How long drafts are:
// - as --draft-tokens says;
// - else for the acceptance that was learned, the length with the most tokens per second; where that is none because
// hardly
//   anything was accepted, the free length (FreeDraftLength): it loses next to nothing, and notices when another text
//   is more predictable. N-grams never get less than the free length: their acceptance is that of a mixture of texts
//   that repeat themselves, where long drafts pay, and others;
// - before anything was learned the free length, for a draft model or a head at most the best length at
// kAssumedAcceptance. A draft model so
//   heavy that nothing is free is used at that best length all the same, for it was asked for by name; a head for one
//   token, if that pays then. The line says so.
// With several requests at a time (sequences) the passes hold the drafts of all of them: llama-server judges them
// together, and lets a draft model draft for all in the same passes. Only as far as costs are known: a pass of at most
// kUnmeasuredWidth tokens, or twice the widest that was measured. A prediction from the speeds of disk and memory alone
// was seen to be wrong by a third at 11 tokens. No speculation where even the free length is none, or weights do not
// stream (a wider pass then computes for longer); with kOn at least one token. Errors: kInvalidArgument for a mode that
// is not understood; kUnsupported when the engine cannot do what was asked for.
Result<Speculation> ChooseSpeculation(const SpeculationOptions& options, const SpeculationInput& input);

// Of a draft model or a head that no run has used yet.
inline constexpr double kAssumedAcceptance = 0.6;
// Tokens of a pass that is planned before any was measured.
inline constexpr uint64_t kUnmeasuredWidth = 4;

// What passes of this model in its memory, and tokens of its draft, cost. `computed`: a draft model or a head drafts.
// Pure.
DraftCost DraftCostOf(const ModelSetup& model, const MachineProfile& machine, const Learned& learned, bool computed,
                      uint64_t sequences = 1);

}  // namespace headrace::cli
