// Loads of models: whether there is room, who makes it, and the starting of the process.
#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "serve/models/model_manager.h"
#include "setup/device_choice.h"
#include "setup/model_cost.h"

namespace headrace::serve {
namespace {

// Devices are looked at again for a load where that was longer ago.
constexpr std::chrono::seconds kDevicesAge{5};

bool Contains(const std::vector<std::string>& ids, const std::string& id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

void ModelManager::SayLoaded(const Model& model) {
  LogWarning(
      fmt::format("{} is loaded: {}", model.id(), DescribeDecision(model.plan().memory(), model.plan().setup.limits)));
  if (const std::string devices = DescribeDevices(model.plan().setup); !devices.empty())
    LogWarning(fmt::format("{}: {}", model.id(), devices));
  if (const std::string width = DescribePromptWidth(model.plan().setup, model.plan().setup.prompt_width);
      !width.empty()) {
    LogWarning(fmt::format("{}: {}", model.id(), width));
  }
  for (const std::string& note : model.plan().notes) LogWarning(fmt::format("{}: {}", model.id(), note));
}

Task<Result<ModelPtr>> ModelManager::Load(ModelEntry entry, ModelConfig config, Waiter* waiter) {
  const auto turn = co_await turns_.Take(waiter);
  if (!turn.ok()) co_return turn.status();
  const auto before = Get(entry.id);
  auto result = co_await LoadInTurn(entry, config);
  if (result.ok()) {
    history_.Loaded(entry.id, (*result)->load_seconds, *result != before);
  } else if (result.status().code() != Code::kCancelled) {
    history_.Failed(entry.id, result.status());
    LogWarning(result.status().message());
  }
  co_return result;
}

Task<Result<ModelPtr>> ModelManager::LoadInTurn(ModelEntry entry, ModelConfig config) {
  if (ending_) co_return Status(Code::kCancelled, "the server is ending");
  const std::vector<std::string> itself{entry.id}, nobody;
  const ModelPtr present = Get(entry.id);
  const bool loaded = present != nullptr && present->state() == ModelState::kLoaded;
  const std::string changed = loaded ? present->ChangedFile() : "";
  if (loaded && changed.empty() && present->plan().asked == config) co_return present;
  room_.LookAtDevicesAgain();
  // What cannot be loaded must not end what runs.
  const auto preview = co_await Foresee(entry, config);
  if (!preview.ok()) co_return preview.status();
  if (!preview->plan.enough.ok()) co_return preview->plan.enough;
  const std::string why = changed.empty() ? "to be loaded with another configuration"
                                          : fmt::format("to be loaded anew: {} was changed", changed);
  if (present != nullptr) co_await StopModel(present, why);
  while (models_.size() >= settings_.models_max)
    co_await Evict(LeastRecentlyUsed(itself), fmt::format("to make room for {}", entry.id));
  auto plan = co_await Judge(entry, config, nobody);
  while (plan.ok() && (!plan->enough.ok() || plan->crowds) && !models_.empty()) {
    co_await Evict(LeastRecentlyUsed(itself), fmt::format("to make room for {}", entry.id));
    plan = co_await Judge(entry, config, nobody);
  }
  if (plan.ok() && !plan->enough.ok()) co_return plan->enough;
  if (!plan.ok()) co_return plan.status();
  if (ending_) co_return Status(Code::kCancelled, "the server is ending");

  const std::string socket_path = fmt::format("{}/{}.sock", socket_folder_, next_socket_++);
  const auto model =
      std::make_shared<Model>(executor_, worker_, settings_, prompts_, culprits_, std::move(*plan), socket_path);
  models_[entry.id] = model;
  const Status status = co_await model->Start();
  room_.LookAtDevicesAgain();
  if (!status.ok()) {
    Forget(model);
    model->SetState(ModelState::kGone, status.message());
    co_return status;
  }
  SayLoaded(*model);
  Spawn(executor_, RestartAfterCrashes(model));
  co_return model;
}

Task<Result<LoadPlan>> ModelManager::Judge(ModelEntry entry, ModelConfig config, std::vector<std::string> gone) {
  const auto room = co_await room_.Find(models_, std::move(gone), kDevicesAge);
  std::optional<Result<LoadPlan>> plan;
  co_await OnWorker(worker_, [&] { plan.emplace(PlanLoad(settings_, library_, simulations_, entry, config, room)); });
  co_return std::move(*plan);
}

Task<Result<ModelManager::Preview>> ModelManager::Foresee(ModelEntry entry, ModelConfig config) {
  std::vector<std::string> gone{entry.id};
  const auto left = [&] {
    return std::count_if(models_.begin(), models_.end(),
                         [&](const auto& model) { return !Contains(gone, model.first); });
  };
  while (static_cast<size_t>(left()) >= settings_.models_max) gone.push_back(LeastRecentlyUsed(gone)->id());
  auto plan = co_await Judge(entry, config, gone);
  while (plan.ok() && (!plan->enough.ok() || plan->crowds) && left() > 0) {
    gone.push_back(LeastRecentlyUsed(gone)->id());
    plan = co_await Judge(entry, config, gone);
  }
  if (!plan.ok()) co_return plan.status();
  gone.erase(gone.begin());
  co_return Preview{std::move(*plan), std::move(gone)};
}

// Null only when nothing else is loaded. Those without requests first.
ModelPtr ModelManager::LeastRecentlyUsed(const std::vector<std::string>& but) const {
  ModelPtr found;
  for (const auto& [id, model] : models_) {
    if (Contains(but, id)) continue;
    if (found == nullptr ||
        std::pair(model->requests() > 0, model->last_used()) < std::pair(found->requests() > 0, found->last_used())) {
      found = model;
    }
  }
  return found;
}

Task<Result<ModelConfig>> ModelManager::Recall(ModelEntry entry, bool say) {
  auto remembered = Remembered(entry);
  const std::vector<std::string> itself{entry.id};
  // Others name nothing that can be gone.
  constexpr const char* kKeys[] = {"draft_model", "projector", "speculate", "draft_tokens", "kv_cache_type"};
  for (const char* key : kKeys) {
    if (!remembered.ok()) break;
    Json without = ToJson(*remembered);
    if (without.erase(key) == 0) continue;
    const auto with = co_await Judge(entry, *remembered, itself);
    if (with.ok()) break;
    auto config = ParseModelConfig(without, ModelConfig());
    const auto judged = co_await Judge(entry, *config, itself);
    if (!judged.ok()) continue;
    if (say) {
      LogWarning(fmt::format("{} is loaded without the {} that {} remembers for it: {}", entry.id, key, store_.path(),
                             with.status().message()));
    }
    remembered = std::move(config);
  }
  co_return remembered;
}

}  // namespace headrace::serve
