// What a llama-server keeps beside its model's weights, and how many models it holds: settled by what memory there is,
// where its user does not say it.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "process/process_start.h"
#include "setup/model_setup.h"

namespace headrace::cli {

// llama-server keeps up to 8 GiB of prompts' states, and 32 checkpoints of each slot's, unless its user says otherwise.
// It gets as many as the memory allows beside all else, and none where that is too little for the weights already.
// `arguments` are all that count; `environment` is the server's. What `simulation` knows is not asked again. Errors:
// those of SettleMemory.
Status SettleServer(const Engine& engine, const EngineArguments& arguments, ModelSetup& model, Environment& environment,
                    std::optional<Result<EngineSimulation>>& simulation);
// `arguments` of a server that keeps none of them, unless its user said how many.
EngineArguments LeastServerArguments(const EngineArguments& arguments);

// The same of a server whose memory is not foretold: it gets none. A `router` starts a process for each model: these
// share the limits, and `config` becomes that of one of them. Returns lines for people. Errors: kInvalidArgument for
// what has no end where there is a limit. Pure.
Result<std::vector<std::string>> SettleUnknownServer(bool router, const EngineArguments& arguments,
                                                     const MemoryLimits& limits, Environment& environment,
                                                     Config& config);

// "2.00 GiB (--ram)": what all of it shares.
std::string DescribeLimit(const MemoryLimits& limits);

}  // namespace headrace::cli
