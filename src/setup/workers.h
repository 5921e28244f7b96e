// --workers: which of the named workers (docs/workers.md) are there. Their memory is devices of the engine then, by its
// option --rpc.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "engine/arguments.h"
#include "engine/engine_locator.h"

namespace CLI {
class App;
}

namespace headrace::cli {

// --workers, also HEADRACE_WORKERS.
void AddWorkersOption(CLI::App& command, std::string& workers);

struct ReachedWorkers {
  EngineArguments arguments;         // of the engine: --rpc and those that answered; empty where none did
  std::vector<std::string> lines;    // for the user: one about each that answered
  std::vector<std::string> missing;  // and about each other one
};
// Asks each worker of the list; "" names none. Takes some tenths of a second for each that answers, and two seconds for
// all that do not. Errors: those of ParseWorkers; kNotFound where the engine has no RPC backend.
Result<ReachedWorkers> ReachWorkers(const std::string& workers, const Engine& engine);
// The same before `rest`, the engine's options by the user, with the lines said. Errors also: kInvalidArgument where
// these name workers, too.
Status PutWorkersBefore(const std::string& workers, const Engine& engine, EngineArguments& rest);

// After a program of the engine with these arguments has ended by itself: "worker HOST:PORT does not answer any more",
// "" where all do. llama.cpp ends the process when one is lost. Takes two seconds at most. Thread-safe.
std::string LostWorkers(const EngineArguments& arguments);

}  // namespace headrace::cli
