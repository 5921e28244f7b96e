// What `headrace run` decides before anything starts: how the memory is divided, which of the engine's programs runs,
// how it drafts, and how wide a prompt's passes are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine_command_line.h"
#include "learned/learned.h"
#include "learned/machine_profile.h"
#include "setup/model_setup.h"
#include "setup/speculation.h"

namespace headrace::run {

struct RunPlan {
  std::string program;                          // of the engine
  cli::EngineArguments arguments;               // its own
  bool by_server = false;                       // it is llama-server, for one answer
  std::string prompt;                           // of that answer, as the server wants it
  uint64_t context = 0;                         // tokens
  std::optional<cli::Speculation> speculation;  // none where it is no question: nothing streams, and nobody asked
  cli::LearnedPlace place;                      // where what it shows is kept
  MachineProfile machine;
};

// `run` is for llama-completion or llama-cli in `engine`, whose options `known` lists. One answer goes through
// llama-server when its model streams or something drafts, and the engine has one that knows all options. `model` is
// settled, and its disk measured, afterwards. Errors: those of CheckDraft, BuildRunArguments, SettleMemory and
// ChooseSpeculation.
Result<RunPlan> PlanRun(cli::RunArguments run, const cli::SpeculationOptions& speculation,
                        const cli::EngineSetup& engine, const cli::OptionNames& known, cli::ModelSetup& model);

// Predicted seconds until a prompt of so many tokens is read; 0: unknown.
double PromptSeconds(const RunPlan& plan, const cli::ModelSetup& model, uint64_t tokens);

}  // namespace headrace::run
