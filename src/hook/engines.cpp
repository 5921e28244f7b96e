#include "hook/engines.h"

#include <fmt/format.h>

#include "base/log.h"
#include "hook/engine_symbols.h"

namespace headrace {
namespace {

void SayWhatIsOff(const GgmlApi& engine, const Config& config) {
  const auto say = [](const char* feature, const std::string& why, bool asked) {
    if (why.empty()) return;
    const std::string text = fmt::format("{} is off with this llama.cpp: {}", feature, why);
    asked ? LogWarning(text) : LogDebug(text);
  };
  say(kPackingFeature, engine.no_packing, config.kernels == Kernels::kRepack);
  say(kKvFilesFeature, engine.no_kv_files, !config.kv_dir.empty());
  say(kForesightFeature, engine.no_foresight, false);
  say(kDevicesFeature, engine.no_choice_of_devices, false);
}

}  // namespace

Result<std::shared_ptr<const GgmlApi>> Engines::Find(void* caller, const Config& config) {
  // A program that maps a model but is no llama.cpp (a tool that reads metadata) is none of our business.
  const void* const known = FindBehind("ggml_tensor_overhead", caller);
  if (known == nullptr) return std::shared_ptr<const GgmlApi>();
  auto found = LoadGgmlApi([caller](const char* name) { return FindBehind(name, caller); });
  const std::lock_guard lock(mutex_);
  if (!found.ok()) {
    if (!refused_.insert(known).second) return std::shared_ptr<const GgmlApi>();
    return found.status();
  }
  refused_.erase(known);
  for (const auto& engine : engines_) {
    if (*engine == *found) return engine;
  }
  // Others that were at this place are gone; who still has their adapters no longer calls them.
  engines_.remove_if([&](const auto& engine) { return engine->backend_graph_compute == found->backend_graph_compute; });
  SayWhatIsOff(*found, config);
  return engines_.emplace_back(std::make_shared<const GgmlApi>(std::move(*found)));
}

std::shared_ptr<const GgmlApi> Engines::With(ComputeFunction compute) const {
  const std::lock_guard lock(mutex_);
  for (const auto& engine : engines_) {
    if (engine->backend_sched_graph_compute_async == compute || engine->backend_sched_graph_compute == compute)
      return engine;
  }
  return nullptr;
}

}  // namespace headrace
