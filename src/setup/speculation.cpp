#include "setup/speculation.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "engine/draft_head.h"
#include "setup/model_cost.h"
#include "setup/model_name.h"

namespace headrace::cli {
namespace {

// So many tokens must be there again for those behind them to be proposed. Compared in docs/architecture.md.
constexpr uint64_t kLookupTokens = 2;

// A draft's token takes about so many times what memory alone would take for its weights: they are small products,
// taken over one by one. Seen with a model of 160 M parameters (docs/benchmarks.md); the library measures it from the
// first run on.
constexpr double kDraftSlowdown = 3;

bool KnowsAll(const OptionNames& known, const std::vector<EngineOption>& options) {
  if (known.empty()) return true;
  return std::all_of(options.begin(), options.end(), [&](const EngineOption& option) {
    return std::any_of(option.names.begin(), option.names.end(), [&](const char* name) { return known.Has(name); });
  });
}

std::vector<EngineOption> NgramOptions(uint64_t tokens) {
  return {WithValue(OptionId::kSpeculation, "ngram-simple"),
          // The engine drops a draft that is shorter than what it looked up.
          {{"--spec-ngram-simple-size-n"}, std::to_string(std::min(kLookupTokens, tokens))},
          {{"--spec-ngram-simple-size-m"}, std::to_string(tokens)}};
}

std::vector<EngineOption> DraftOptions(const std::string& path, const std::string& type, uint64_t tokens,
                                       const OptionNames& known) {
  std::vector<EngineOption> options = {WithValue(OptionId::kDraftModel, path),
                                       WithValue(OptionId::kDraftTokens, std::to_string(tokens))};
  // Newer releases draft only when told how.
  if (known.empty() || known.Has("--spec-type")) options.push_back(WithValue(OptionId::kSpeculation, type));
  return options;
}

struct Length {
  uint64_t tokens = 0;
  double acceptance = 0;
  bool heavy = false;  // drafts that would cost much if nothing were accepted
};

Length ChooseLength(const DraftCost& cost, const Learned& learned, bool computed, bool named) {
  const uint64_t free = FreeDraftLength(cost);
  if (learned.acceptance_known) {
    const uint64_t best = BestDraftLength(cost, learned.acceptance);
    return {computed && best > 0 ? best : std::max(best, free), learned.acceptance};
  }
  if (!computed) return {free, kAssumedAcceptance};
  const uint64_t best = BestDraftLength(cost, kAssumedAcceptance);
  return {free > 0 ? std::min(best, free)
          : named  ? best
                   : std::min<uint64_t>(best, 1),
          kAssumedAcceptance, free == 0 && best > 0};
}

// Of the experts that a head uses those are read which are not in memory: as many of them as of all.
double HeadReadSeconds(const ModelSetup& model, const MachineProfile& machine) {
  const auto plan = model.Plan();
  if (!plan.ok() || model.weights.head_expert_bytes == 0 || !(machine.disk_bytes_per_s > 0)) return 0;
  const double cached =
      std::min(1.0, static_cast<double>(plan->expert_cache_bytes) / static_cast<double>(model.weights.expert_bytes));
  return (1 - cached) * static_cast<double>(model.weights.head_expert_bytes) / machine.disk_bytes_per_s;
}

std::string Gain(const Speculation& chosen) {
  if (!(chosen.tokens_per_s > 0)) return "";
  return fmt::format("; {:.2f} tokens/s expected if {:.0f} % of its tokens are right{}, {:.2f} without",
                     chosen.tokens_per_s, 100 * chosen.acceptance,
                     chosen.acceptance_learned ? ", as in earlier runs" : "", chosen.plain_tokens_per_s);
}

}  // namespace

std::optional<SpeculationMode> ParseSpeculationMode(const std::string& text) {
  if (text.empty() || text == "auto") return SpeculationMode::kAuto;
  if (text == "on") return SpeculationMode::kOn;
  if (text == "off") return SpeculationMode::kOff;
  return std::nullopt;
}

const char* ToString(SpeculationMode mode) {
  switch (mode) {
    case SpeculationMode::kAuto:
      return "auto";
    case SpeculationMode::kOn:
      return "on";
    case SpeculationMode::kOff:
      return "off";
  }
  return "";
}

const char* ToString(SpeculationKind kind) {
  switch (kind) {
    case SpeculationKind::kNone:
      return "none";
    case SpeculationKind::kNgram:
      return "ngram";
    case SpeculationKind::kDraft:
      return "draft";
    case SpeculationKind::kHead:
      return "head";
    case SpeculationKind::kUser:
      return "user";
  }
  return "";
}

void AddSpeculationOptions(CLI::App& command, SpeculationOptions& options) {
  TakesModel(command.add_option("--draft", options.draft,
                                "Draft model: GGUF file of a small model with the same vocabulary. It stays in memory, "
                                "within --ram, and proposes tokens. One pass over the streamed weights judges them "
                                "together"))
      ->type_name("MODEL");
  command
      .add_option("--speculate", options.mode,
                  "Speculative decoding: auto uses --draft if given; else, while weights stream, the model's own draft "
                  "head or repeated text. on drafts even if that is not expected to pay, off never drafts (default "
                  "auto)")
      ->type_name("auto|on|off");
  command
      .add_option("--draft-tokens", options.draft_tokens,
                  "Length of every draft (default: chosen from measured costs and what earlier runs saw accepted)")
      ->type_name("N")
      ->check(CLI::Range(uint64_t{1}, kMostDraftTokens));
}

uint64_t MostDraftTokens(const EngineArguments& rest, const std::vector<EngineOption>& file, uint64_t slots) {
  auto batch = rest.Value(OptionId::kBatch);
  if (!batch) batch = EngineArguments(file).Value(OptionId::kBatch);
  if (!batch) return UINT64_MAX;
  const uint64_t tokens = std::strtoull(batch->c_str(), nullptr, 10) / std::max<uint64_t>(1, slots);
  return tokens - std::min<uint64_t>(1, tokens);
}

EngineArguments SaidOfSpeculation(const SpeculationOptions& options) {
  if (options.draft.empty() && options.mode != "off") return {};
  return EngineArguments({WithValue(OptionId::kDraftModel, options.draft), WithValue(OptionId::kSpeculation, ""),
                          WithValue(OptionId::kDraftTokens, "")});
}

EngineArguments DraftArguments(const SpeculationOptions& options, const EngineArguments& rest) {
  if (options.draft.empty() || options.mode == "off" || rest.Speculates()) return {};
  return EngineArguments({WithValue(OptionId::kDraftModel, options.draft)});
}

bool MayUseHead(const SpeculationOptions& options, const EngineArguments& rest, const ModelSetup& model,
                const Engine* engine, const OptionNames& known, std::string& why_not) {
  const auto mode = ParseSpeculationMode(options.mode);
  if (!mode || *mode == SpeculationMode::kOff || !options.draft.empty() || rest.Speculates() ||
      model.catalogue.head_blocks == 0)
    return false;
  if (engine == nullptr || (!model.passes_stream() && *mode == SpeculationMode::kAuto)) return false;
  why_not = WhyNoHead(model.catalogue, *engine, known);
  return why_not.empty();
}

bool HeadFits(const ModelSetup& model) {
  return model.weights.uses_head &&
         (!model.streams() ||
          model.memory.weights_budget_bytes >= model.weights.floor_bytes() + model.weights.head_kept_bytes);
}

bool HeadPays(const SpeculationOptions& options, const Speculation& with_head, const Speculation& without) {
  if (with_head.kind != SpeculationKind::kHead) return false;
  if (!(with_head.tokens_per_s > 0)) return true;
  if (without.kind == SpeculationKind::kNgram && without.acceptance_learned)
    return with_head.tokens_per_s >= without.tokens_per_s;
  return options.mode == "on" || options.draft_tokens > 0 || with_head.tokens_per_s >= without.plain_tokens_per_s;
}

DraftCost DraftCostOf(const ModelSetup& model, const MachineProfile& machine, const Learned& learned, bool computed,
                      uint64_t sequences) {
  const auto pass = PassCostOf(model, machine, learned);
  DraftCost cost{pass.ok() ? *pass : PassCost({}, {}, 0)};
  cost.sequences = std::max<uint64_t>(1, sequences);
  double widest = 0;
  for (const MeasuredPass& measured : learned.passes) widest = std::max(widest, measured.tokens);
  const uint64_t width = std::max(static_cast<uint64_t>(2 * widest), kUnmeasuredWidth);
  cost.most = std::clamp<uint64_t>(width / cost.sequences, 1, kMostDraftTokens + 1) - 1;
  if (!computed) return cost;
  cost.draft_token_s = learned.draft_token_s;
  if (cost.draft_token_s > 0 || !(machine.decode_bytes_per_s > 0)) return cost;
  const uint64_t bytes = model.weights.uses_head ? model.weights.head_token_bytes
                         : model.memory.engine   ? model.memory.engine->draft_weight_bytes
                                                 : 0;
  cost.draft_token_s =
      kDraftSlowdown * static_cast<double>(bytes) / machine.decode_bytes_per_s + HeadReadSeconds(model, machine);
  return cost;
}

Result<Speculation> ChooseSpeculation(const SpeculationOptions& options, const SpeculationInput& input) {
  const auto mode = ParseSpeculationMode(options.mode);
  if (!mode)
    return Status(Code::kInvalidArgument,
                  fmt::format("--speculate {} is not understood; write auto, on or off", options.mode));
  Speculation chosen;
  if (input.rest.Speculates()) {
    chosen.kind = SpeculationKind::kUser;
    chosen.line = "speculation: as the options after -- say";
    return chosen;
  }
  if (*mode == SpeculationMode::kOff) {
    chosen.line = "speculation: off, as --speculate says";
    return chosen;
  }
  const bool draft_model = !options.draft.empty(), head = !draft_model && input.head, computed = draft_model || head,
             streams = input.model.passes_stream();
  const std::string drafter = draft_model ? std::filesystem::path(options.draft).filename().string()
                              : head      ? "the model's own head"
                                          : "what came before";
  if (!draft_model && !streams && *mode == SpeculationMode::kAuto) {
    chosen.line = "speculation: none, because nothing streams";
    return chosen;
  }
  const DraftCost cost = DraftCostOf(input.model, input.machine, input.learned, computed, input.sequences);
  Length length = ChooseLength(cost, input.learned, computed, draft_model);
  const bool cost_known = streams && cost.Seconds(0) > 0;
  if (!cost_known) length.tokens = kUnmeasuredWidth - 1;
  if (options.draft_tokens > 0) length.tokens = options.draft_tokens;
  if (*mode == SpeculationMode::kOn) length.tokens = std::max<uint64_t>(1, length.tokens);
  if (options.draft_tokens > input.most_draft_tokens) {
    return Status(
        Code::kInvalidArgument,
        fmt::format("drafts of {} tokens are too long for the batch that is set (-b, num_batch): with all requests "
                    "that run at a time it holds {}",
                    options.draft_tokens, input.most_draft_tokens));
  }
  if (length.tokens > 0 && input.most_draft_tokens == 0) {
    chosen.line =
        "speculation: none, because the batch that is set (-b, num_batch) has no room for drafts of all requests that "
        "run at a time";
    return chosen;
  }
  length.tokens = std::min(length.tokens, input.most_draft_tokens);
  chosen.acceptance = length.acceptance;
  chosen.acceptance_learned = input.learned.acceptance_known;
  chosen.plain_tokens_per_s = cost_known ? cost.TokensPerSecond(0, 0) : 0;
  if (length.tokens == 0) {
    chosen.line =
        computed ? fmt::format("speculation: none: with {} a token would take longer than without", drafter)
        : input.sequences > 1
            ? fmt::format(
                  "speculation: none, because drafts of {} requests at a time would take longer than they can save",
                  input.sequences)
            : "speculation: none, because a pass of two tokens costs more than it can save";
    return chosen;
  }
  if (draft_model && IsUntested(input.draft_type) && !input.known.empty() &&
      !input.known.Has("--spec-type=" + input.draft_type)) {
    return Status(
        Code::kUnsupported,
        fmt::format(
            "{} needs a llama.cpp that knows --spec-type {}; this one does not: leave it out or install another "
            "release with `headrace engine install`",
            options.draft, input.draft_type));
  }
  chosen.options = draft_model ? DraftOptions(options.draft, input.draft_type, length.tokens, input.known)
                   : head      ? HeadOptions(length.tokens)
                               : NgramOptions(length.tokens);
  if (!KnowsAll(input.known, chosen.options)) {
    if (draft_model || *mode == SpeculationMode::kOn) {
      return Status(
          Code::kUnsupported,
          fmt::format(
              "this llama.cpp cannot {}; leave it out or install another release with `headrace engine install`",
              draft_model ? "use a draft model (--draft)" : "repeat what came before (--speculate on)"));
    }
    chosen.options.clear();
    chosen.line = "speculation: none, because this llama.cpp has no n-gram drafts";
    return chosen;
  }
  chosen.kind = draft_model ? SpeculationKind::kDraft : head ? SpeculationKind::kHead : SpeculationKind::kNgram;
  chosen.draft_tokens = length.tokens;
  chosen.tokens_per_s = cost_known ? cost.TokensPerSecond(chosen.acceptance, length.tokens) : 0;
  std::string why = "as --draft-tokens says";
  if (options.draft_tokens == 0 && !cost_known) {
    why = streams ? "the engine's default, because this machine's speed is not known"
                  : "the engine's default, because nothing streams";
  } else if (options.draft_tokens == 0) {
    why = fmt::format("a pass of {} takes {:.2f} of {}{}", cost.sequences * (length.tokens + 1),
                      cost.Seconds(length.tokens) / cost.Seconds(0),
                      cost.sequences == 1 ? "one token's time"
                                          : fmt::format("{} tokens', for so many requests at a time", cost.sequences),
                      cost.pass.measured() ? "" : " (predicted)");
  }
  if (draft_model && IsUntested(input.draft_type))
    why += fmt::format("; {} drafts were never tested with headrace", input.draft_type);
  if (length.heavy)
    why += fmt::format(
        "; {} is large for a draft model: if none of its tokens were right, the answer would take that much longer",
        drafter);
  chosen.line = fmt::format("speculation: {} {} {} token{} at a time: {}{}", drafter, computed ? "drafts" : "proposes",
                            length.tokens, length.tokens == 1 ? "" : "s", why,
                            computed || chosen.acceptance_learned ? Gain(chosen) : "");
  if (*mode == SpeculationMode::kOn && !input.why_no_head.empty())
    chosen.line += fmt::format("; the model's own head does not draft: {}", input.why_no_head);
  return chosen;
}

}  // namespace headrace::cli
