// --workers: which of the named workers (docs/workers.md) are there. Their memory is devices of the engine then, by its
// option --rpc.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/arguments.h"
#include "engine/devices.h"
#include "engine/engine_locator.h"

namespace CLI {
class App;
}

namespace headrace::cli {

// --workers, also HEADRACE_WORKERS.
void AddWorkersOption(CLI::App& command, std::string& workers);

// The way to a worker.
struct WorkerLink {
  double round_trip_s = 0;
  double bytes_per_s = 0;  // 0: unknown
};

// How long an answer (64 tokens to a prompt of 512) waits for the way to a worker and back: activations of a wide
// model, and a message for each pass. Pure.
double NetworkSeconds(const WorkerLink& link);
// How long it would wait for the disk to read what the worker can hold. Pure.
double DiskSeconds(uint64_t worker_bytes, double disk_bytes_per_s);

struct ReachedWorkers {
  EngineArguments arguments;                   // of the engine: --rpc and those that answered; empty where none did
  std::vector<std::string> lines;              // for the user: one about each that answered
  std::map<std::string, std::string> missing;  // and about each other one, by HOST:PORT
  std::map<std::string, WorkerLink> links;     // by HOST:PORT; those that were measured
  // All devices of the engine with these arguments; nullopt where it would have to be asked once more.
  std::optional<std::vector<Device>> devices;
};
// Whether the list is understood and the engine can use it; asks nobody. Errors: those of ReachWorkers.
Status CheckWorkers(const std::string& workers, const Engine& engine);
// Asks each worker of the list; "" names none. One whose way is slower than a disk of `disk_bytes_per_s` is left out;
// 0: the disk's speed is unknown, and taken for a fast one's. What `known` holds is not measured again. One program of
// the engine is asked about all of them, each in one of its own where that fails. Takes about a second for each that
// answers, and two for all that do not. Errors: those of ParseWorkers; kNotFound where the engine
// has no RPC backend.
Result<ReachedWorkers> ReachWorkers(const std::string& workers, const Engine& engine, double disk_bytes_per_s = 0,
                                    const std::map<std::string, WorkerLink>& known = {});
// The same before `rest`, the engine's options by the user, with the lines said. The disk is that of the model at
// `model_path`, measured if need be. `devices` gets those of ReachWorkers. Errors also: kInvalidArgument where these
// name workers, too.
Status PutWorkersBefore(const std::string& workers, const Engine& engine, const std::string& model_path,
                        EngineArguments& rest, std::optional<std::vector<Device>>* devices = nullptr);

// Of the devices that the engine has with the workers `asked`, those that it has with the workers `used`, which are
// some of these: it numbers what is not here anew. Pure.
std::vector<Device> DevicesWith(const std::vector<std::string>& used, const std::vector<Device>& asked);

// After a program of the engine with these arguments has ended by itself: "worker HOST:PORT does not answer any more",
// "" where all do. llama.cpp ends the process when one is lost. Takes three seconds at most, one where all answer.
// Thread-safe.
std::string LostWorkers(const EngineArguments& arguments);

}  // namespace headrace::cli
