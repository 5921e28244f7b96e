// What run, plan and bench do before anything is started: the model's catalogue is read, the engine and the library
// are found, the memory is divided and checked.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "engine/devices.h"
#include "engine/engine_locator.h"
#include "engine/engine_memory.h"
#include "gguf/catalogue.h"
#include "setup/memory_budget.h"
#include "setup/model_weights.h"
#include "setup/options.h"

namespace headrace::cli {

// What was decided about devices.
struct DeviceChoice {
  uint64_t free_bytes = 0;             // of all devices that may be used; 0: there is none, or nobody asked
  uint64_t least_bytes = 0;            // of them, the least that works for this model; 0: nothing asked for it
  std::vector<uint64_t> room_bytes;    // of each of ModelSetup::devices
  std::optional<Placement> placement;  // none: the user's options say it, or nothing is there
  uint64_t expert_cache_bytes = 0;     // of devices, for the engine's own cache of experts, beside the placement
  uint64_t batch_tokens = 0;  // of a prompt's passes, where devices compute them and weights stream; 0: not chosen
  std::string reason;         // why devices have nothing, or the user's options count
};

struct ModelSetup {
  std::string path;
  Catalogue catalogue;
  ModelWeights weights;
  Config config;
  MemoryLimits limits;
  VramLimit vram;
  std::vector<Device> devices;  // that the program computes on; none: everything is the processor's. Of ChooseDevices
  // What the engine listed when it was asked about workers; nullopt: it is still to be asked.
  std::optional<std::vector<Device>> asked_devices;
  DeviceChoice device_choice;
  MemoryBudget memory;  // of SettleMemory
  std::optional<Shortage> shortage;
  uint64_t prompt_width = 0;  // tokens of a prompt in a pass; 0: not chosen

  bool streams() const { return memory.streams; }
  // Also when it is loaded: devices do not compute all of it.
  bool passes_stream() const { return memory.streams && !memory.loads_only; }
  // What the library is told: what was decided here, so that both agree.
  Config LibraryConfig() const;
  // What stays in memory of this model: everything when it does not stream. A draft model shares the budget, and is
  // kept resident before its target. Errors: kOutOfBudget of the planner.
  Result<ResidencyPlan> Plan() const;
};

// Errors: those of ReadCatalogue and ResolveConfig.
Result<ModelSetup> PrepareModel(const std::string& path, const FlashOptions& options);
// The same where not all of this machine's memory is free to take.
Result<ModelSetup> PrepareModel(const std::string& path, const FlashOptions& options, const AvailableMemory& available);

// What `arguments` leave to the processor where there are devices, and whether the model's own head drafts: fills in
// model.weights.
void SelectWeightsBy(const EngineArguments& arguments, ModelSetup& model);

// Divides the memory. What `arguments` put on devices needs none of it. `arguments` are the engine's, with the model
// among them; without an engine, or with one that cannot simulate its allocations, only the weights are known, and a
// line says so. Errors: kOutOfBudget with the text of the shortage, and of PutContextInFile; kInvalidArgument for a
// prompt cache without end.
Status SettleMemory(const Engine* engine, const EngineArguments& arguments, ModelSetup& model);
// The same where it is settled more than once: what `simulation` knows is not asked again. An empty one is prepared.
Status SettleMemory(const Engine* engine, const EngineArguments& arguments, ModelSetup& model,
                    std::optional<Result<EngineSimulation>>& simulation);
// The same with a simulation that was prepared for these arguments. Writes no line; thread-safe.
Status SettleMemory(Result<EngineSimulation>& simulation, const EngineArguments& arguments, ModelSetup& model);

// kInvalidArgument for a prompt cache without end where there is a limit.
Status CheckPromptCache(const EngineArguments& arguments, const MemoryLimits& limits);

struct EngineSetup {
  SearchPaths paths;
  Engine engine;
  std::string program;  // of the engine, the first of those asked for that it has
  std::string library;  // "" when it would have nothing to do
};

// Errors: kNotFound and kUnsupported of the locator; callers exit with kExitNotFound.
Result<EngineSetup> PrepareEngine(const std::string& engine_option, std::initializer_list<const char*> programs,
                                  const Config& config);

// Fills config.disk_bytes_per_s from the machine profile, measuring it once for a disk; keeps one that is set.
// Without a measurement it stays 0, which is only said when debugging.
void AddDiskSpeed(const std::string& model_path, const Engine& engine, Config& config);

// Which of the model's sizes are not exactly known, and why; "" when all are.
std::string DescribeUnknownTypes(const Catalogue& catalogue);

// The line about what was decided about the memory, on standard error; and one about sizes that are not exactly known.
void SayDecision(const ModelSetup& model);
// Lines about what will be started, on standard error, when `config.debug` is set.
void DebugEngine(const EngineSetup& engine, const EngineArguments& arguments, const Config& config);

}  // namespace headrace::cli
