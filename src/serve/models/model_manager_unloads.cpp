// Ends of models: asked for, to make room, after a time without requests, at the server's end.
#include <fmt/format.h>

#include "base/log.h"
#include "serve/models/model_manager.h"

namespace headrace::serve {
namespace {

constexpr Millis kIdleCheck{250};
constexpr Millis kHeldTime{2000};

}  // namespace

void ModelManager::Begin() {
  if (settings_.ttl.count() > 0) WatchIdle();
}

void ModelManager::WatchIdle() {
  if (!watches_idle_) Spawn(executor_, UnloadIdle());
  watches_idle_ = true;
}

void ModelManager::KeepLoaded(const std::string& id, std::chrono::seconds time) {
  const ModelPtr model = Get(id);
  if (model == nullptr) return;
  model->keep_alive = time;
  if (time.count() > 0) WatchIdle();
}

Task<> ModelManager::UnloadIdle() {
  while (!ending_) {
    co_await Sleep(kIdleCheck);
    ModelPtr idle;
    std::chrono::seconds time{0};
    for (const auto& [id, model] : models_) {
      const auto kept = model->keep_alive.value_or(settings_.ttl);
      if (kept.count() == 0 || model->state() != ModelState::kLoaded || model->requests() > 0 ||
          Clock::now() - model->last_used() <= kept)
        continue;
      idle = model;
      time = kept;
    }
    if (idle != nullptr) co_await Evict(idle, fmt::format("after {} s without a request", time.count()));
  }
}

Task<> ModelManager::Unload(std::string id, bool force) {
  const ModelPtr model = Get(id);
  if (model == nullptr) co_return;
  const Millis keep = force ? kForcedKeepTime : kKeepTime;
  co_await StopAndForget(model, force, keep);
}

Task<> ModelManager::StopAll(bool force, Millis keep) {
  ending_ = true;
  turns_.LookAgain();
  const auto all = models_;
  for (const auto& [id, model] : all) Spawn(executor_, StopAndForget(model, force, keep));
  while (!models_.empty()) co_await stopped_.WaitFor(kIdleCheck);
}

Task<> ModelManager::StopHeld() {
  while (true) {
    co_await Sleep(kHeldTime);
    const auto all = models_;
    for (const auto& [id, model] : all) {
      if (!model->held()) continue;
      LogWarning(fmt::format("{}: its process is stopped by a signal and answers nothing: it is killed", id));
      co_await StopAndForget(model, true, kForcedKeepTime);
    }
  }
}

Task<> ModelManager::Evict(ModelPtr model, std::string why) {
  history_.Evicted(model->id());
  co_await StopModel(std::move(model), std::move(why));
}

Task<> ModelManager::StopModel(ModelPtr model, std::string why) {
  if (model == nullptr) co_return;
  LogWarning(fmt::format("unloading {} {}", model->id(), why));
  const std::chrono::seconds after = settings_.evict_after;
  BreakOff limit{after, fmt::format("{} is unloaded {}, which was waited for {} s (--evict-after)", model->id(), why,
                                    after.count())};
  co_await model->Stop(false, kKeepTime, std::move(limit));
  Forget(model);
  room_.LookAtDevicesAgain();
}

Task<> ModelManager::StopAndForget(ModelPtr model, bool force, Millis keep) {
  co_await model->Stop(force, keep);
  Forget(model);
  room_.LookAtDevicesAgain();
  stopped_.NotifyAll();
}

}  // namespace headrace::serve
