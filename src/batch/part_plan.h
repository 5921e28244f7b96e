// What is decided about the requests of one kind before the engine is started for them: how many sequences share a
// pass, the KV cache, whether the weights stream, and the command line of llama-server.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "batch/needs.h"
#include "batch/request_file.h"
#include "batch/shard.h"
#include "batch/slots.h"
#include "engine/engine_probe.h"
#include "setup/model_setup.h"
#include "setup/options.h"

namespace headrace::batch {

struct BatchOptions {
  std::string model;
  std::string requests;
  std::string results;
  std::optional<uint64_t> slots, context, answer;
  std::string threads;
  Shard shard;
  std::vector<std::string> joined;  // files of results that are put together; then nothing is computed
  bool overwrite = false, retry_errors = false, no_modelfile = false;
  std::string engine;
  cli::FlashOptions flash;
  std::string workers;
  cli::EngineArguments rest;  // after --
};

// Completions and embeddings need an engine each.
struct Part {
  bool embeddings = false;
  std::vector<size_t> requests;  // of RequestFile::entries
};

struct EngineChoice {
  cli::EngineSetup setup;
  cli::OptionNames known;  // llama-server's options
};

struct PartPlan {
  cli::ModelSetup model;
  cli::EngineArguments arguments;
  Config config;  // of the library
  TokenLimits limits;
  SlotChoice slots;
  std::vector<std::string> notes;  // lines for the user, the one about the slots last
};

// Arguments after -- that a batch sets itself. Error: kInvalidArgument.
Status CheckRest(const cli::EngineArguments& rest);

// Reads headers, lets the engine simulate its allocations, and measures the disk where it is not known yet (a second),
// with progress on a terminal. Errors: those of PrepareModel, FindModelfile and SettleMemory.
Result<PartPlan> PlanPart(const BatchOptions& options, const EngineChoice& engine, const RequestFile& requests,
                          const Part& part, const std::string& socket_path);

}  // namespace headrace::batch
