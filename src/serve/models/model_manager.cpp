#include "serve/models/model_manager.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace headrace::serve {
namespace {

// What is wrong with a load may be what somebody asked for long ago.
Status WithOrigin(const Status& status, const ModelConfig& config, const std::string& path) {
  if (config == ModelConfig() || status.code() == Code::kCancelled) return status;
  return Status(status.code(), fmt::format("{}; the model's configuration, {}, is remembered in {}", status.message(),
                                           Dump(ToJson(config)), path));
}

}  // namespace

ModelManager::ModelManager(const Executor& executor, asio::thread_pool& worker, const Settings& settings,
                           ModelLibrary& library, const ConfigStore& store, std::string socket_folder)
    : executor_(executor),
      worker_(worker),
      settings_(settings),
      library_(library),
      lookup_(worker, settings, library),
      room_(worker, settings),
      store_(store),
      prompts_(worker, settings),
      socket_folder_(std::move(socket_folder)),
      line_(settings.waiting),
      turns_(executor),
      stopped_(executor) {}

ModelPtr ModelManager::Get(const std::string& id) const {
  const auto it = models_.find(id);
  return it == models_.end() ? nullptr : it->second;
}

std::optional<std::chrono::seconds> ModelManager::ReadyIn(const std::string& id) const {
  const ModelPtr model = Get(id);
  if (model == nullptr || model->state() != ModelState::kCrashed) return std::nullopt;
  const auto now = Clock::now();
  const std::chrono::duration<double> left = std::max(model->retry_at, now) - now;
  return std::chrono::ceil<std::chrono::seconds>(left + std::chrono::duration<double>(model->load_seconds));
}

Task<Result<std::string>> ModelManager::IdForWork(std::string name) {
  const auto entry = co_await lookup_.Find(name);
  if (entry.ok()) co_return entry->id;
  // One whose file is gone may be loaded still.
  if (Get(name) != nullptr) co_return name;
  if (settings_.any_name && entry.status().code() == Code::kNotFound) {
    const auto only = co_await lookup_.Find(settings_.model);
    if (only.ok()) co_return only->id;
  }
  co_return entry.status();
}

Task<std::optional<std::string>> ModelManager::DefaultModel() {
  if (!settings_.model.empty()) {
    const auto entry = co_await lookup_.Find(settings_.model);
    if (entry.ok()) co_return entry->id;
  }
  ModelPtr last;
  for (const auto& [id, model] : models_) {
    if (last == nullptr || model->last_used() > last->last_used()) last = model;
  }
  if (last != nullptr) co_return last->id();
  std::optional<std::string> only;
  const auto entries = co_await lookup_.Scan();
  for (const ModelEntry& entry : entries) {
    if (!Answers(entry)) continue;
    if (only) co_return std::nullopt;
    only = entry.id;
  }
  co_return only;
}

WaitNews ModelManager::NewsOf(const Waiter& waiter) const {
  WaitNews news;
  news.place = waiter.place();
  const ModelPtr model = Get(waiter.model());
  const auto usual = history_.LastSeconds(waiter.model());
  if (model != nullptr && model->state() == ModelState::kLoaded) {
    news.what = news.place > 0 ? WaitNews::For::kTurn : WaitNews::For::kFirstToken;
    if (news.place > 0) news.expected_s = model->admission().ExpectedWait(news.place);
  } else if (model != nullptr && model->state() == ModelState::kLoading && usual) {
    news.expected_s = std::max(0.0, *usual - std::chrono::duration<double>(Clock::now() - model->started_at()).count());
  }
  if (news.what != WaitNews::For::kLoad) return news;
  for (const auto& [id, each] : models_) {
    if (each->state() != ModelState::kStopping || each->requests() == 0) continue;
    news.detail = fmt::format("{} finishes its answers first", id);
    if (settings_.evict_after.count() > 0)
      news.detail += fmt::format(", which are broken off after {} s", settings_.evict_after.count());
  }
  return news;
}

Task<Result<Lease>> ModelManager::Acquire(std::string name, bool undrafted, Waiter* waiter) {
  std::string id = name;
  bool anew = false;  // once: a file that is written to all the time must not keep it from answering
  while (!ending_) {
    const ModelPtr model = Get(id);
    if (model == nullptr) {
      const auto entry = co_await lookup_.Find(name);
      if (!entry.ok()) co_return entry.status();
      if (entry->id != id) {
        id = entry->id;
        continue;
      }
      auto config = co_await Recall(*entry, true);
      if (!config.ok()) co_return config.status();
      const auto loaded = co_await Load(*entry, *config, waiter);
      if (!loaded.ok()) co_return WithOrigin(loaded.status(), *config, store_.path());
      continue;
    }
    switch (model->state()) {
      case ModelState::kLoaded: {
        ModelConfig config = model->plan().asked;
        if (undrafted && model->plan().chose_drafts()) config.speculate = "off";
        const bool current = model->ChangedFile().empty() && config == model->plan().asked;
        if (anew || current) {
          if (waiter != nullptr) waiter->Stop();
          co_return Lease(model);
        }
        anew = true;
        const auto entry = co_await lookup_.Find(id);
        if (!entry.ok()) co_return entry.status();
        const auto loaded = co_await Load(*entry, config, waiter);
        if (!loaded.ok()) co_return loaded.status();
        break;
      }
      case ModelState::kCrashed: {
        co_return Status(Code::kCancelled,
                         fmt::format("the process of {} {}; it is started again, and expected to answer in {} s", id,
                                     model->error(), ReadyIn(id).value_or(std::chrono::seconds(1)).count()));
      }
      case ModelState::kLoading:
      case ModelState::kStopping:
        if (const Status may = waiter != nullptr ? waiter->Wait() : Status(); !may.ok()) co_return may;
        co_await model->WaitForChange(kWaiterLook);
        if (model->state() == ModelState::kGone && !model->error().empty())
          co_return Status(Code::kInternal, model->error());
        break;
      case ModelState::kGone:
        Forget(model);
        break;
    }
  }
  co_return Status(Code::kCancelled, "the server is ending");
}

Task<Result<Lease>> ModelManager::AcquireAs(std::string id, Wanted wanted, Waiter* waiter) {
  const ModelPtr model = Get(id);
  const bool narrow = wanted.context && (model == nullptr || model->context < *wanted.context);
  const bool deaf = wanted.embedding && (model == nullptr || !model->plan().embedding);
  if (!narrow && !deaf && wanted.configuration.empty())
    co_return co_await Acquire(std::move(id), wanted.undrafted, waiter);
  const auto entry = co_await lookup_.Find(id);
  if (!entry.ok()) co_return entry.status();
  Result<ModelConfig> base = ModelConfig();
  if (model != nullptr) {
    base = model->plan().asked;
  } else {
    base = co_await Recall(*entry, true);
  }
  if (!base.ok()) co_return base.status();
  auto config = ParseModelConfig(wanted.configuration, *base);
  if (!config.ok()) co_return config.status();
  const uint64_t most = entry->context_length > 0 ? entry->context_length : std::numeric_limits<uint64_t>::max();
  if (narrow) config->context_length = std::max(std::min(*wanted.context, most), config->context_length.value_or(0));
  if (deaf && entry->kind == ModelKind::kText) config->embedding = true;
  const bool loaded = model != nullptr && model->state() == ModelState::kLoaded;
  if (!loaded || *config != *base) {
    const auto anew = co_await Load(*entry, *config, waiter);
    if (!anew.ok()) co_return anew.status();
  }
  co_return co_await Acquire(std::move(id), wanted.undrafted, waiter);
}

void ModelManager::Forget(const ModelPtr& model) {
  const auto it = models_.find(model->id());
  if (it != models_.end() && it->second == model) models_.erase(it);
}

}  // namespace headrace::serve
