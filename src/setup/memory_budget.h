// Divides the memory that the user gave among weights and the rest of the process, and decides whether the weights
// stream. Pure, but for the engine's simulations that look for a remedy.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/config.h"
#include "base/size.h"
#include "base/status.h"
#include "engine/engine_memory.h"
#include "setup/model_weights.h"

namespace headrace::cli {

struct MemoryLimits {
  FlashMode flash_mode = FlashMode::kAuto;
  uint64_t process_bytes = 0;  // for the whole process, 0: no limit
  uint64_t weights_bytes = 0;  // for weights alone, 0: what the process's limit leaves
  std::string process_origin;  // "--ram"
  std::string weights_origin;  // "--weights-ram"
  uint64_t kv_bytes = 0;       // for KV caches, where larger ones live in files; 0: none does
};

// What streaming itself takes beside its weights: the library's code, its threads, the disk's queues.
inline constexpr uint64_t kStreamingBytes = 3 * kMiB;
// What is on devices goes through so much of the weights' memory while it is loaded.
inline constexpr uint64_t kLoadingBytes = 8 * kMiB;

struct MemoryBudget {
  bool streams = false;
  uint64_t weight_bytes = 0;         // of all models: what has to be in memory, or streams
  uint64_t device_weight_bytes = 0;  // beside these on devices
  bool loads_only = false;  // no weight is multiplied on the processor: what streams does so while it is loaded
  uint64_t weights_budget_bytes = 0;   // for them; weight_bytes when they do not stream
  std::optional<EngineMemory> engine;  // none: not foretold
  uint64_t least_bytes = 0;            // the smallest limit on the process that works, by streaming
  uint64_t everything_bytes = 0;       // and the smallest in which all that is not on devices has room

  uint64_t rest_bytes() const { return engine ? engine->rest_bytes() + (streams ? kStreamingBytes : 0) : 0; }
  // What the process will use at most.
  uint64_t peak_bytes() const { return rest_bytes() + weights_budget_bytes; }
};

// `weight_bytes` of the model, without a draft's, but with what is on devices: loading reads that too, and streams it
// where not all of it has room in memory. Never fails: FindShortage judges the result.
MemoryBudget DivideMemory(const MemoryLimits& limits, const ModelWeights& weights, uint64_t weight_bytes,
                          const std::optional<EngineMemory>& engine);

// With a folder for KV caches: at most limits.kv_bytes of them are in memory. `model_layers`: 0 when unknown.
// kOutOfBudget when one layer's keys and values alone are certainly larger; the library, which knows them, checks
// again.
Status PutContextInFile(const MemoryLimits& limits, uint64_t model_layers, EngineMemory& engine);

// "KV cache 1.00 GiB, buffers 132 MiB, engine 24.0 MiB". The budget has an engine.
std::string DescribeRest(const MemoryBudget& budget);
// One line about what was decided and why.
std::string DescribeDecision(const MemoryBudget& budget, const MemoryLimits& limits);

// The engine's allocations if these arguments were added; nullopt when they cannot work.
using TryArguments = std::function<std::optional<EngineMemory>(const EngineArguments& more)>;

// What would work where the budget is too small, each for itself; 0 and false: would not help, or is not known.
struct Remedies {
  uint64_t process_bytes = 0;    // at least so much for the process
  uint64_t weights_bytes = 0;    // or for weights
  uint64_t context_tokens = 0;   // a shorter context
  bool quantized_cache = false;  // a KV cache of q8_0
  bool narrow_batches = false;   // -ub 64
  bool no_draft = false;         // without the draft model
};

struct Shortage {
  std::string arithmetic;  // "100 MiB (--ram) is too little: ..."
  Remedies remedies;
};
// Nullopt when the budget is enough. `context_tokens` is what `engine` was simulated for.
std::optional<Shortage> FindShortage(const MemoryBudget& budget, const MemoryLimits& limits,
                                     const ModelWeights& weights, uint64_t context_tokens,
                                     const TryArguments& try_arguments);
// The arithmetic and the remedies as options of the command.
std::string DescribeShortage(const Shortage& shortage);

}  // namespace headrace::cli
