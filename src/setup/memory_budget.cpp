#include "setup/memory_budget.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/size.h"

namespace headrace::cli {
namespace {

// Nobody wants to talk with less.
constexpr uint64_t kShortestContext = 256;

// "1412M": a size that the options take, rounded up.
std::string OptionSize(uint64_t bytes) {
  return bytes < 16 * kMiB ? fmt::format("{}K", AlignUp(bytes, kKiB) / kKiB)
                           : fmt::format("{}M", AlignUp(bytes, kMiB) / kMiB);
}

uint64_t LeastForWeights(const ModelWeights& weights) {
  return std::max(weights.floor_bytes(), std::min(weights.device_bytes, kLoadingBytes));
}

EngineArguments QuantizedCache() { return {"-ctk", "q8_0", "-ctv", "q8_0"}; }
EngineArguments NarrowBatches() { return {"-ub", "64"}; }

}  // namespace

MemoryBudget DivideMemory(const MemoryLimits& limits, const ModelWeights& weights, uint64_t weight_bytes,
                          const std::optional<EngineMemory>& engine) {
  MemoryBudget budget;
  budget.engine = engine;
  budget.device_weight_bytes = std::min(weights.device_bytes, weight_bytes);
  budget.weight_bytes = weight_bytes - budget.device_weight_bytes + (engine ? engine->draft_weight_bytes : 0);
  budget.loads_only = budget.device_weight_bytes > 0 && weights.extents.empty();
  budget.everything_bytes = budget.weight_bytes + budget.rest_bytes();
  const auto room = [&] {
    const uint64_t process = limits.process_bytes - std::min(limits.process_bytes, budget.rest_bytes());
    return std::min(limits.process_bytes > 0 ? process : UINT64_MAX,
                    limits.weights_bytes > 0 ? limits.weights_bytes : UINT64_MAX);
  };
  budget.streams = limits.flash_mode == FlashMode::kOn ||
                   (limits.flash_mode == FlashMode::kAuto && budget.weight_bytes + budget.device_weight_bytes > room());
  budget.weights_budget_bytes = budget.streams ? room() : budget.weight_bytes;
  budget.least_bytes =
      LeastForWeights(weights) + (engine ? engine->draft_weight_bytes + engine->rest_bytes() + kStreamingBytes : 0);
  return budget;
}

Status PutContextInFile(const MemoryLimits& limits, uint64_t model_layers, EngineMemory& engine) {
  if (limits.kv_bytes == 0 || engine.context_bytes <= limits.kv_bytes) return {};
  engine.context_file_bytes = std::exchange(engine.context_bytes, limits.kv_bytes);
  // The largest layer has at least the mean. A draft's layers are not counted here, its keys and values are.
  const uint64_t layer =
      model_layers == 0 || engine.draft_weight_bytes > 0 ? 0 : engine.context_file_bytes / model_layers;
  if (layer <= limits.kv_bytes) return {};
  return Status(
      Code::kOutOfBudget,
      fmt::format("{} of memory for the KV cache are too little: it has {} for {} layers, and the keys and values "
                  "of one layer are needed at a time; give at least --kv-ram {}, or make the KV cache "
                  "smaller: a smaller context (-c), quantized keys and values (-ctk q8_0 -ctv q8_0)",
                  FormatSize(limits.kv_bytes), FormatSize(engine.context_file_bytes), model_layers, OptionSize(layer)));
}

std::string DescribeRest(const MemoryBudget& budget) {
  const EngineMemory& engine = *budget.engine;
  const std::string in_file = engine.context_file_bytes == 0
                                  ? ""
                                  : fmt::format(" (in memory; {} in a file)", FormatSize(engine.context_file_bytes));
  std::string text = fmt::format("KV cache {}{}, buffers {}, engine {}", FormatSize(engine.context_bytes), in_file,
                                 FormatSize(engine.compute_bytes), FormatSize(engine.engine_bytes));
  const auto part = [&](const char* name, uint64_t bytes) {
    if (bytes > 0) text += fmt::format(", {} {}", name, FormatSize(bytes));
  };
  part("projector", engine.projector_bytes);
  part("adapters", engine.adapter_bytes);
  part("context checkpoints", engine.checkpoint_bytes);
  part("prompt cache", engine.prompt_cache_bytes);
  part("devices without memory of their own", engine.shared_device_bytes);
  part("streaming", budget.streams ? kStreamingBytes : 0);
  return text;
}

std::string DescribeDecision(const MemoryBudget& budget, const MemoryLimits& limits) {
  const std::string weights = FormatSize(budget.weight_bytes) + " of weights";
  const std::string beside = budget.device_weight_bytes == 0
                                 ? ""
                                 : fmt::format(", beside {} on devices", FormatSize(budget.device_weight_bytes));
  const std::string sum = budget.engine ? fmt::format("{} and {} for the rest ({}){}", weights,
                                                      FormatSize(budget.rest_bytes()), DescribeRest(budget), beside)
                                        : weights + beside;
  const bool weights_alone =
      limits.weights_bytes > 0 && (limits.process_bytes == 0 || budget.weight_bytes > limits.weights_bytes);
  const std::string limit =
      weights_alone ? fmt::format("{} for weights ({})", FormatSize(limits.weights_bytes), limits.weights_origin)
                    : fmt::format("{} ({})", FormatSize(limits.process_bytes), limits.process_origin);
  if (limits.flash_mode == FlashMode::kOff) return fmt::format("nothing streams, as --flash-mode off says: {}", sum);
  if (!budget.streams) return fmt::format("all in memory, nothing streams: {} fit in {}", sum, limit);
  if (budget.loads_only) {
    return fmt::format(
        "all layers are on devices: their {} stream while they are loaded, nothing does afterwards; memory has {}, "
        "within {}",
        FormatSize(budget.device_weight_bytes),
        budget.engine ? fmt::format("{} for the rest ({})", FormatSize(budget.rest_bytes()), DescribeRest(budget))
                      : "the rest",
        limit);
  }
  const std::string why = limits.flash_mode == FlashMode::kOn
                              ? fmt::format("as --flash-mode on says: {} of {}", sum, limit)
                              : fmt::format("{} exceed {}", sum, limit);
  return fmt::format("weights stream, {}; weights get {}", why, FormatSize(budget.weights_budget_bytes));
}

std::optional<Shortage> FindShortage(const MemoryBudget& budget, const MemoryLimits& limits,
                                     const ModelWeights& weights, uint64_t context_tokens,
                                     const TryArguments& try_arguments) {
  // A draft that is read for each of its tokens would cost more than it saves.
  const uint64_t draft = budget.engine ? budget.engine->draft_weight_bytes : 0;
  const uint64_t room = limits.process_bytes - std::min(limits.process_bytes, budget.rest_bytes());
  const bool weights_short = limits.weights_bytes > 0 && limits.weights_bytes < weights.floor_bytes() + draft;
  // Loading takes its memory from the process's: nothing else is there yet.
  const uint64_t target = weights_short ? weights.floor_bytes() : LeastForWeights(weights), floor = target + draft;
  if (!budget.streams || (!weights_short && (limits.process_bytes == 0 || room >= floor))) return std::nullopt;
  Shortage shortage;
  Remedies& remedies = shortage.remedies;
  const bool columns = weights.column_bytes() > weights.widest_group_bytes;
  std::string needs =
      target > weights.floor_bytes()
          ? fmt::format("{} through which weights of devices are loaded", FormatSize(target))
          : fmt::format(
                "{} for weights at least (3 reads of {} rows of {}, {} each, and {})", FormatSize(target), kRowGroup,
                weights.widest, FormatSize(weights.widest_group_bytes),
                columns ? fmt::format("an expert's columns for {} tokens", weights.batch_tokens) : "one repacked copy");
  if (draft > 0) needs += fmt::format(", {} for the draft model, which stays in memory", FormatSize(draft));
  if (weights_short) {
    shortage.arithmetic = fmt::format("{} ({}) is too little: streaming needs {}", FormatSize(limits.weights_bytes),
                                      limits.weights_origin, needs);
    remedies.weights_bytes = floor;
    remedies.no_draft = limits.weights_bytes >= target;
    return shortage;
  }
  shortage.arithmetic = fmt::format("{} ({}) is too little: ", FormatSize(limits.process_bytes), limits.process_origin);
  if (budget.engine) {
    const std::string of_draft = draft == 0 ? ""
                                            : fmt::format(" (of these {} for the draft's KV cache and buffers)",
                                                          FormatSize(budget.engine->draft_rest_bytes));
    shortage.arithmetic +=
        fmt::format("{}, {}{} = {}", needs, DescribeRest(budget), of_draft, FormatSize(budget.least_bytes));
  } else {
    shortage.arithmetic +=
        fmt::format("streaming needs {} beside the KV cache, the buffers and the engine itself", needs);
  }
  remedies.process_bytes = budget.least_bytes;
  if (!budget.engine || !try_arguments) return shortage;
  const auto works = [&](const EngineArguments& more) {
    const auto engine = try_arguments(more);
    return engine && engine->rest_bytes() + kStreamingBytes + floor <= limits.process_bytes;
  };
  const uint64_t rest = budget.engine->rest_bytes(), undrafted = rest - std::min(rest, budget.engine->draft_rest_bytes);
  remedies.no_draft = draft > 0 && undrafted + kStreamingBytes + target <= limits.process_bytes;
  for (uint64_t tokens = context_tokens / 2; tokens >= kShortestContext && remedies.context_tokens == 0; tokens /= 2) {
    if (works({"-c", std::to_string(tokens)})) remedies.context_tokens = tokens;
  }
  remedies.quantized_cache = works(QuantizedCache());
  remedies.narrow_batches = works(NarrowBatches());
  return shortage;
}

std::string DescribeShortage(const Shortage& shortage) {
  const Remedies& remedies = shortage.remedies;
  std::string text = shortage.arithmetic;
  if (remedies.weights_bytes > 0)
    text += fmt::format("; give at least --weights-ram {}", OptionSize(remedies.weights_bytes));
  if (remedies.process_bytes > 0) text += fmt::format("; give at least --ram {}", OptionSize(remedies.process_bytes));
  if (remedies.context_tokens > 0) text += fmt::format(", or a shorter context: -c {}", remedies.context_tokens);
  if (remedies.quantized_cache)
    text += fmt::format(", or a quantized KV cache: -- {}", fmt::join(QuantizedCache().words(), " "));
  if (remedies.no_draft) text += ", or leave the draft model out";
  if (remedies.narrow_batches)
    text += fmt::format(", or smaller batches: -- {}", fmt::join(NarrowBatches().words(), " "));
  return text;
}

}  // namespace headrace::cli
