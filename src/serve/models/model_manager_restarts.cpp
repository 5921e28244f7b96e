// Models whose processes crashed: started again after a while that grows, by the memory that there is then.
#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "serve/models/model_manager.h"

namespace headrace::serve {
namespace {

constexpr Millis kFirstDelay{1000};
constexpr Millis kLongestDelay{60'000};
constexpr auto kStable = std::chrono::seconds(60);  // a crash after so long is a first one again
constexpr unsigned kMostCrashes = 6;                // one after the other, then it stays unloaded

Millis DelayAfter(unsigned crashes) { return std::min(kLongestDelay, kFirstDelay * (1 << std::min(crashes - 1, 10u))); }

}  // namespace

Task<> ModelManager::RestartAfterCrashes(ModelPtr model) {
  while (true) {
    const std::string end = co_await model->WaitForCrash();
    if (model->stopped()) co_return;
    model->crashes = Clock::now() - model->loaded_at > kStable ? 1 : model->crashes + 1;
    if (model->crashes >= kMostCrashes) {
      co_await GiveUp(
          model, fmt::format("the process of {} {}; it crashed {} times one after the other and is not started again "
                             "until it is asked for",
                             model->id(), end, model->crashes));
      co_return;
    }
    const Millis delay = DelayAfter(model->crashes);
    model->retry_at = Clock::now() + delay;
    model->SetState(ModelState::kCrashed, end);
    LogWarning(
        fmt::format("the process of {} {}; it is started again in {} s", model->id(), end, delay.count() / 1000));
    while (!model->stopped() && Clock::now() < model->retry_at) {
      co_await model->WaitForChange(std::chrono::ceil<Millis>(model->retry_at - Clock::now()));
    }
    const auto turn = co_await turns_.Take(nullptr);
    if (!turn.ok()) co_return;
    if (model->stopped()) co_return;
    ++model->restarts;
    const Status judged = co_await JudgeAgain(model);
    if (model->stopped()) co_return;
    if (!judged.ok()) {
      co_await GiveUp(model, fmt::format("the process of {} {}, and is not started again until it is asked for: {}",
                                         model->id(), end, judged.message()));
      co_return;
    }
    const Status status = co_await model->Start();
    if (model->stopped()) co_return;
    if (status.ok()) {
      SayLoaded(*model);
    } else {
      LogWarning(status.message());
      model->loaded_at = Clock::now();  // counts as one more crash
    }
  }
}

Task<Status> ModelManager::JudgeAgain(ModelPtr model) {
  const std::string id = model->id();
  const auto entry = co_await lookup_.Find(id);
  if (!entry.ok()) co_return Status(Code::kNotFound, fmt::format("the file of {} is gone", id));
  const std::vector<std::string> itself{id};
  room_.LookAtDevicesAgain();
  auto plan = co_await Judge(*entry, model->plan().asked, itself);
  if (!plan.ok()) co_return plan.status();
  if (!plan->enough.ok()) co_return plan->enough;
  if (plan->crowds && models_.size() > 1) {
    co_return Status(Code::kOutOfBudget, "the memory that it was told to take is not free beside the other models");
  }
  model->SetPlan(std::move(*plan));
  co_return Status();
}

Task<> ModelManager::GiveUp(ModelPtr model, std::string error) {
  LogWarning(error);
  history_.GaveUp(model->id(), std::move(error));
  Forget(model);
  co_await model->Stop(true);
}

}  // namespace headrace::serve
