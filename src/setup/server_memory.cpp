#include "setup/server_memory.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/say.h"
#include "base/size.h"
#include "engine/engine_memory.h"
#include "report/exit_status.h"

namespace headrace::cli {
namespace {

constexpr const char* kCheckpointVariable = "LLAMA_ARG_CTX_CHECKPOINTS";
constexpr const char* kPromptCacheVariable = "LLAMA_ARG_CACHE_RAM";
constexpr const char* kModelsVariable = "LLAMA_ARG_MODELS_MAX";
constexpr uint64_t kServerModels = 4;  // llama-server's own number
// Of a server that computes nothing itself, beside the code that it shares with its children. Measured.
constexpr uint64_t kRouterBytes = 8 * kMiB;

// A variable that its user set is among the arguments already.
void Set(Environment& environment, const char* variable, uint64_t value) {
  std::erase_if(environment, [&](const auto& entry) { return entry.first == variable; });
  environment.emplace_back(variable, std::to_string(value));
}

}  // namespace

EngineArguments LeastServerArguments(const EngineArguments& arguments) {
  EngineArguments all = ServerMemoryArguments(arguments);
  for (const OptionId option : {OptionId::kCheckpoints, OptionId::kPromptCache}) {
    if (!arguments.Value(option)) all.Append(option, "0");
  }
  return all;
}

Status SettleServer(const Engine& engine, const EngineArguments& arguments, ModelSetup& model, Environment& environment,
                    std::optional<Result<EngineSimulation>>& simulation) {
  EngineArguments all = LeastServerArguments(arguments);
  const bool own_checkpoints = arguments.Value(OptionId::kCheckpoints).has_value(),
             own_cache = arguments.Value(OptionId::kPromptCache).has_value();
  HEADRACE_RETURN_IF_ERROR(SettleMemory(&engine, all, model, simulation));
  const uint64_t limit = model.limits.process_bytes;
  const auto left = [&]() -> uint64_t {
    if (model.streams() || !model.memory.engine) return 0;
    return limit == 0 ? UINT64_MAX : limit - std::min(limit, model.memory.everything_bytes);
  };
  const auto set = [&](const char* variable, OptionId option, uint64_t value, uint64_t usual) {
    Set(environment, variable, value);
    if (value < usual) {
      Say(fmt::format(
          "{} {} instead of the server's own {}: weights and the rest need the memory; give the option to have more",
          SpellingsOf(option).front(), value, usual));
    }
    all.Append(option, std::to_string(value));
    return SettleMemory(&engine, all, model, simulation);
  };
  if (!own_checkpoints && simulation->ok()) {
    const auto state = (*simulation)->StateBytes();
    const uint64_t each = state.ok() ? (*simulation)->slots() * *state : 0;
    const uint64_t checkpoints = each == 0 ? kServerCheckpoints : std::min(kServerCheckpoints, left() / each);
    HEADRACE_RETURN_IF_ERROR(set(kCheckpointVariable, OptionId::kCheckpoints, checkpoints, kServerCheckpoints));
  }
  if (own_cache) return {};
  const uint64_t one_state = model.memory.engine ? model.memory.engine->context_bytes : 0;
  return set(kPromptCacheVariable, OptionId::kPromptCache,
             std::min(kServerPromptCache, (left() - std::min(left(), one_state)) / kMiB), kServerPromptCache);
}

Result<std::vector<std::string>> SettleUnknownServer(bool router, const EngineArguments& arguments,
                                                     const MemoryLimits& limits, Environment& environment,
                                                     Config& config) {
  HEADRACE_RETURN_IF_ERROR(CheckPromptCache(arguments, limits));
  std::vector<std::string> lines;
  std::string less;
  const auto leave_out = [&](OptionId option, const char* variable) {
    if (arguments.Value(option)) return;
    Set(environment, variable, 0);
    less += fmt::format("{}{} 0", less.empty() ? "" : " ", SpellingsOf(option).front());
  };
  leave_out(OptionId::kCheckpoints, kCheckpointVariable);
  leave_out(OptionId::kPromptCache, kPromptCacheVariable);
  if (!less.empty())
    lines.push_back(
        less + " instead of the server's own: weights and the rest may need the memory; give the options to have more");
  // What is available is found out by each process, and followed.
  const bool whole = config.process_bytes > 0 && config.process_bytes != Config::kAutomatic;
  if (!router || (!whole && config.weights_bytes == 0)) return lines;

  uint64_t models = 1;
  if (const auto asked = arguments.Value(OptionId::kMostModels)) {
    models = arguments.Number(OptionId::kMostModels);
    if (models == 0) {
      return Status(
          Code::kInvalidArgument,
          fmt::format("--models-max {} lets any number of models share {}; write how many may be loaded at a time",
                      OneLine(*asked), DescribeLimit(limits)));
    }
  } else {
    Set(environment, kModelsVariable, models);
    lines.push_back(
        fmt::format("--models-max 1 instead of the server's own {}: models share the memory; give the option to have "
                    "more, each with its part",
                    kServerModels));
  }
  // 0 would be no limit.
  const auto part = [&](uint64_t bytes) { return bytes == 0 ? 0 : std::max<uint64_t>(bytes / models, 1); };
  if (whole) config.process_bytes = part(std::max(config.process_bytes, kRouterBytes + 1) - kRouterBytes);
  config.weights_bytes = part(config.weights_bytes);
  config.kv_ram_bytes = part(config.kv_ram_bytes);
  config.kv_disk_max_bytes = part(config.kv_disk_max_bytes);
  if (models > 1) {
    lines.push_back(
        fmt::format("--models-max {}: each model's process has {}", models,
                    whole ? FormatSize(config.process_bytes) : FormatSize(config.weights_bytes) + " for weights"));
  }
  return lines;
}

std::string DescribeLimit(const MemoryLimits& limits) {
  if (limits.process_bytes > 0) return fmt::format("{} ({})", FormatSize(limits.process_bytes), limits.process_origin);
  return limits.weights_bytes > 0
             ? fmt::format("{} for weights ({})", FormatSize(limits.weights_bytes), limits.weights_origin)
             : "the memory";
}

}  // namespace headrace::cli
