#include "serve/models/model_manager.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "base/log.h"
#include "base/size.h"
#include "http/http.h"
#include "serve/models/device_room.h"
#include "setup/device_choice.h"
#include "setup/model_cost.h"

namespace headrace::serve {
namespace {

constexpr Millis kIdleCheck{250};
constexpr Millis kHeldTime{2000};
constexpr Millis kFirstDelay{1000};
constexpr Millis kLongestDelay{60'000};
constexpr auto kStable = std::chrono::seconds(60);  // a crash after so long is a first one again
constexpr unsigned kMostCrashes = 6;                // one after the other, then it stays unloaded

Millis DelayAfter(unsigned crashes) { return std::min(kLongestDelay, kFirstDelay * (1 << std::min(crashes - 1, 10u))); }

// What is wrong with a load may be what somebody asked for long ago.
Status WithOrigin(const Status& status, const ModelConfig& config, const std::string& path) {
  if (config == ModelConfig() || status.code() == Code::kCancelled) return status;
  return Status(status.code(), fmt::format("{}; the model's configuration, {}, is remembered in {}", status.message(),
                                           Dump(ToJson(config)), path));
}

void SayLoaded(const Model& model) {
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

bool Contains(const std::vector<std::string>& ids, const std::string& id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

// The right to load, given back at the end of the scope.
class ModelManager::Turn {
 public:
  explicit Turn(ModelManager& manager) : manager_(manager) {}
  ~Turn() {
    manager_.turn_taken_ = false;
    manager_.turn_free_.NotifyAll();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  ModelManager& manager_;
};

ModelManager::ModelManager(const Executor& executor, asio::thread_pool& worker, const Settings& settings,
                           ModelLibrary& library, const ConfigStore& store, std::string socket_folder)
    : executor_(executor),
      worker_(worker),
      settings_(settings),
      library_(library),
      store_(store),
      prompts_(worker, settings),
      socket_folder_(std::move(socket_folder)),
      line_(settings.waiting),
      turn_free_(executor),
      stopped_(executor) {}

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

ModelPtr ModelManager::Get(const std::string& id) const {
  const auto it = models_.find(id);
  return it == models_.end() ? nullptr : it->second;
}

std::string ModelManager::LastError(const std::string& id) const {
  const auto it = errors_.find(id);
  return it == errors_.end() ? "" : it->second;
}

std::optional<std::chrono::seconds> ModelManager::ReadyIn(const std::string& id) const {
  const ModelPtr model = Get(id);
  if (model == nullptr || model->state() != ModelState::kCrashed) return std::nullopt;
  const auto now = Clock::now();
  const std::chrono::duration<double> left = std::max(model->retry_at, now) - now;
  return std::chrono::ceil<std::chrono::seconds>(left + std::chrono::duration<double>(model->load_seconds));
}

void ModelManager::Forget(const ModelPtr& model) {
  const auto it = models_.find(model->id());
  if (it != models_.end() && it->second == model) models_.erase(it);
}

Task<std::vector<ModelEntry>> ModelManager::Scan() {
  std::vector<ModelEntry> entries;
  co_await OnWorker(worker_, [&] { entries = library_.Scan(); });
  co_return entries;
}

Task<Result<ModelEntry>> ModelManager::Find(std::string name) {
  std::optional<Result<ModelEntry>> entry;
  co_await OnWorker(worker_, [&] { entry.emplace(library_.Find(WithoutAlias(settings_.aliases, name))); });
  co_return std::move(*entry);
}

Task<std::vector<NamedEntry>> ModelManager::Named() {
  std::vector<NamedEntry> named;
  co_await OnWorker(worker_, [&] {
    for (ModelEntry& entry : library_.Scan()) {
      const std::string id = entry.id;
      named.push_back({id, std::move(entry)});
    }
    for (const NameAlias& alias : settings_.aliases) {
      auto entry = library_.Find(alias.model);
      if (entry.ok()) named.push_back({alias.name, std::move(*entry)});
    }
  });
  co_return named;
}

Task<bool> ModelManager::HasProjector(ModelEntry entry) {
  bool has = false;
  co_await OnWorker(worker_, [&] { has = !library_.ProjectorBeside(entry).empty(); });
  co_return has;
}

Task<Result<std::string>> ModelManager::IdForWork(std::string name) {
  const auto entry = co_await Find(name);
  if (entry.ok()) co_return entry->id;
  // One whose file is gone may be loaded still.
  if (Get(name) != nullptr) co_return name;
  if (settings_.any_name && entry.status().code() == Code::kNotFound) {
    const auto only = co_await Find(settings_.model);
    if (only.ok()) co_return only->id;
  }
  co_return entry.status();
}

Task<std::optional<std::string>> ModelManager::DefaultModel() {
  if (!settings_.model.empty()) {
    const auto entry = co_await Find(settings_.model);
    if (entry.ok()) co_return entry->id;
  }
  ModelPtr last;
  for (const auto& [id, model] : models_) {
    if (last == nullptr || model->last_used() > last->last_used()) last = model;
  }
  if (last != nullptr) co_return last->id();
  std::optional<std::string> only;
  const auto entries = co_await Scan();
  for (const ModelEntry& entry : entries) {
    if (!Answers(entry)) continue;
    if (only) co_return std::nullopt;
    only = entry.id;
  }
  co_return only;
}

Task<MemoryRoom> ModelManager::RoomWithout(std::vector<std::string> gone, std::chrono::seconds devices_age) {
  MemoryRoom room;
  DeviceHolders holders;
  uint64_t promised = 0, freed = 0;
  for (const auto& [id, model] : models_) {
    const uint64_t held = model->HeldBytes();
    const auto& engine = model->plan().memory().engine;
    const auto there = engine ? engine->devices : std::vector<cli::DeviceMemory>();
    const auto add_to = [&](std::vector<cli::DeviceMemory>& list) {
      list.insert(list.end(), there.begin(), there.end());
    };
    if (Contains(gone, id)) {
      freed += held;
      if (held > 0) add_to(holders.going);
    } else {
      promised += model->UnusedBytes();
      room.granted_bytes += model->plan().granted_bytes;
      add_to(holders.staying);
      if (held == 0) add_to(holders.waiting);
    }
  }
  const auto now = Clock::now();
  const bool look = devices_seen_at_ == Clock::time_point::min() || now - devices_seen_at_ > devices_age;
  std::vector<cli::Device> devices;
  cli::ReachedWorkers workers;
  const auto links = workers_.links;
  co_await OnWorker(worker_, [&] {
    room.available = FindAvailableMemory(ReadTextFile, ReadAddressLimits());
    if (!look) return;
    // What can be wrong with them was said at the start.
    if (auto reached = cli::ReachWorkers(settings_.workers, settings_.engine.engine, 0, links); reached.ok())
      workers = std::move(*reached);
    devices = cli::FindDevices(settings_.engine.engine, cli::Joined(workers.arguments, settings_.rest));
  });
  if (look) {
    devices_ = std::move(devices);
    devices_seen_at_ = now;
    for (const auto& [name, line] : workers.missing) {
      if (!workers_.missing.contains(name)) LogWarning(line);
    }
    workers_ = std::move(workers);
  }
  room.workers = workers_.arguments;
  room.devices = DevicesLeft(devices_, holders);
  room.granted_devices = std::move(holders.staying);
  room.available.bytes += freed;
  room.available.bytes -= std::min(room.available.bytes, promised);
  if (promised > 0) room.available.limited_by += fmt::format(", less {} for other models", FormatSize(promised));
  co_return room;
}

WaitNews ModelManager::NewsOf(const Waiter& waiter) const {
  WaitNews news;
  news.place = waiter.place();
  const ModelPtr model = Get(waiter.model());
  const auto usual = load_seconds_.find(waiter.model());
  if (model != nullptr && model->state() == ModelState::kLoaded) {
    news.what = news.place > 0 ? WaitNews::For::kTurn : WaitNews::For::kFirstToken;
    if (news.place > 0) news.expected_s = model->admission().ExpectedWait(news.place);
  } else if (model != nullptr && model->state() == ModelState::kLoading && usual != load_seconds_.end()) {
    news.expected_s =
        std::max(0.0, usual->second - std::chrono::duration<double>(Clock::now() - model->started_at()).count());
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
      const auto entry = co_await Find(name);
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
        const auto entry = co_await Find(id);
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
  const auto entry = co_await Find(id);
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

Task<Status> ModelManager::TakeTurn(Waiter* waiter) {
  while (turn_taken_) {
    if (const Status may = waiter != nullptr ? waiter->Wait() : Status(); !may.ok()) co_return may;
    co_await turn_free_.WaitFor(kWaiterLook);
  }
  turn_taken_ = true;
  if (waiter != nullptr) waiter->Stop();
  co_return Status();
}

Task<Result<ModelPtr>> ModelManager::Load(ModelEntry entry, ModelConfig config, Waiter* waiter) {
  if (const Status may = co_await TakeTurn(waiter); !may.ok()) co_return may;
  const Turn turn(*this);
  const auto before = Get(entry.id);
  auto result = co_await LoadInTurn(entry, config);
  if (result.ok() && *result != before) {
    ++load_sums_[entry.id].loads;
    load_sums_[entry.id].seconds += (*result)->load_seconds;
  } else if (!result.ok() && result.status().code() != Code::kCancelled) {
    ++load_sums_[entry.id].failures;
  }
  if (result.ok()) {
    errors_.erase(entry.id);
    load_seconds_[entry.id] = (*result)->load_seconds;
  } else if (result.status().code() != Code::kCancelled) {
    errors_[entry.id] = result.status().message();
    LogWarning(result.status().message());
  }
  co_return result;
}

Task<Result<LoadPlan>> ModelManager::Judge(ModelEntry entry, ModelConfig config, std::vector<std::string> gone) {
  const auto room = co_await RoomWithout(std::move(gone), kDevicesAge);
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

Task<Result<ModelPtr>> ModelManager::LoadInTurn(ModelEntry entry, ModelConfig config) {
  if (ending_) co_return Status(Code::kCancelled, "the server is ending");
  const std::vector<std::string> itself{entry.id}, nobody;
  const ModelPtr present = Get(entry.id);
  const bool loaded = present != nullptr && present->state() == ModelState::kLoaded;
  const std::string changed = loaded ? present->ChangedFile() : "";
  if (loaded && changed.empty() && present->plan().asked == config) co_return present;
  LookAtDevicesAgain();
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
  LookAtDevicesAgain();
  if (!status.ok()) {
    Forget(model);
    model->SetState(ModelState::kGone, status.message());
    co_return status;
  }
  SayLoaded(*model);
  Spawn(executor_, RestartAfterCrashes(model));
  co_return model;
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

Task<> ModelManager::Evict(ModelPtr model, std::string why) {
  ++load_sums_[model->id()].evictions;
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
  LookAtDevicesAgain();
}

Task<> ModelManager::Unload(std::string id, bool force) {
  const ModelPtr model = Get(id);
  if (model == nullptr) co_return;
  const Millis keep = force ? kForcedKeepTime : kKeepTime;
  co_await StopAndForget(model, force, keep);
}

Task<> ModelManager::StopAndForget(ModelPtr model, bool force, Millis keep) {
  co_await model->Stop(force, keep);
  Forget(model);
  LookAtDevicesAgain();
  stopped_.NotifyAll();
}

Task<> ModelManager::StopAll(bool force, Millis keep) {
  ending_ = true;
  turn_free_.NotifyAll();
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
    if (!(co_await TakeTurn(nullptr)).ok()) co_return;
    const Turn turn(*this);
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
  const auto entry = co_await Find(id);
  if (!entry.ok()) co_return Status(Code::kNotFound, fmt::format("the file of {} is gone", id));
  const std::vector<std::string> itself{id};
  LookAtDevicesAgain();
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
  errors_[model->id()] = std::move(error);
  Forget(model);
  co_await model->Stop(true);
}

}  // namespace headrace::serve
