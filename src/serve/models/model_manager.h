// Which models are loaded: loads them when they are asked for, makes room, unloads idle ones, starts crashed ones
// again. Lives on the loop. Its sources: model_manager.cpp (requests for models), model_manager_loads.cpp,
// model_manager_unloads.cpp and model_manager_restarts.cpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "http/net.h"
#include "models/model_library.h"
#include "serve/models/config_store.h"
#include "serve/models/load_history.h"
#include "serve/models/load_turns.h"
#include "serve/models/model.h"
#include "serve/models/model_lookup.h"
#include "serve/models/room_finder.h"
#include "serve/models/settings.h"
#include "serve/models/waiting_line.h"

namespace headrace::serve {

// What a request asks of the model that is to answer it.
struct Wanted {
  Json configuration = Json::object();  // how it is loaded: keys of ModelConfig
  std::optional<uint64_t> context;      // tokens, at least
  bool embedding = false;               // vectors
  bool undrafted = false;               // as in ModelManager::Acquire
};

// All arguments outlive it, and it outlives every coroutine that it started.
class ModelManager {
 public:
  // `socket_folder`: where children listen; for this user alone.
  ModelManager(const Executor& executor, asio::thread_pool& worker, const Settings& settings, ModelLibrary& library,
               const ConfigStore& store, std::string socket_folder);

  // Starts the unloading of idle models, if asked for.
  void Begin();

  // A model that answers, loaded with its remembered configuration if it is not, and anew when one of its files was
  // changed. Waits for what must end first. `undrafted`: where drafts were our own choice it is loaded anew without
  // them, until it is unloaded. Errors: kNotFound, those of Load, kCancelled when it crashed a moment ago, the server
  // ends, or `waiter` may not wait.
  Task<Result<Lease>> Acquire(std::string name, bool undrafted = false, Waiter* waiter = nullptr);

  // The same, loaded anew where it is not loaded as `wanted` asks. What is not asked for stays as it is, and nothing is
  // remembered.
  Task<Result<Lease>> AcquireAs(std::string id, Wanted wanted, Waiter* waiter = nullptr);

  // Loads, or loads anew with another configuration. Loads take their turns: each is judged by the memory that
  // the ones before it left. The least recently used models make room: as many as models_max asks, then
  // more while the memory is too little. Errors: those of PlanLoad and Model::Start.
  Task<Result<ModelPtr>> Load(ModelEntry entry, ModelConfig config, Waiter* waiter = nullptr);

  // Of all requests that wait.
  WaitingLine& line() { return line_; }
  size_t line_size() const { return line_.size(); }
  const LoadHistory& history() const { return history_; }
  // How far a request is that waits for its model.
  WaitNews NewsOf(const Waiter& waiter) const;

  // Returns when the model is no longer loaded. `force` breaks its requests off. Not an error when it was not loaded.
  Task<> Unload(std::string id, bool force);
  // Of all at the same time; `keep` as in Model::Stop.
  Task<> StopAll(bool force, Millis keep);
  // From now on ends what a signal holds: it would answer its requests never.
  Task<> StopHeld();

  // Null when it is not loaded.
  ModelPtr Get(const std::string& id) const;
  const LoadedModels& models() const { return models_; }
  // Until a model whose process crashed is expected to answer again: the rest of the back-off, and as long as it loaded
  // the last time. Nullopt for every other.
  std::optional<std::chrono::seconds> ReadyIn(const std::string& id) const;
  // Requests without a model's name go to: the model of the command line, else the one used last, else the only one.
  Task<std::optional<std::string>> DefaultModel();

  // The id that a request for work means by `name`: where any name may be given (Settings::any_name) one that is not
  // known means the model of the command line. Errors: those of FindByName.
  Task<Result<std::string>> IdForWork(std::string name);
  // A loaded model is unloaded after so long without requests, 0: never, whatever --ttl says.
  void KeepLoaded(const std::string& id, std::chrono::seconds time);

  // Which models there are, loaded or not.
  ModelLookup& lookup() { return lookup_; }
  // The configuration that was remembered, for those who only look.
  Result<ModelConfig> Remembered(const ModelEntry& entry) const { return store_.Find(entry.path); }
  // The configuration that a load of this model starts from: the remembered one without what cannot be had any more (a
  // draft model that is not here), with a line for each if `say`. Errors: those of ConfigStore::Find.
  Task<Result<ModelConfig>> Recall(ModelEntry entry, bool say);

  // What a load would decide now, and which models would make room for it. Loads and unloads nothing.
  struct Preview {
    LoadPlan plan;
    std::vector<std::string> makes_room;
  };
  Task<Result<Preview>> Foresee(ModelEntry entry, ModelConfig config);
  // Memory for one more model. Of devices as they were within the last minute.
  Task<MemoryRoom> Room() { return room_.Find(models_, std::vector<std::string>(), kListedDevicesAge); }

 private:
  static constexpr std::chrono::seconds kListedDevicesAge{60};

  Task<Result<ModelPtr>> LoadInTurn(ModelEntry entry, ModelConfig config);
  // By what is left when the models `gone` are.
  Task<Result<LoadPlan>> Judge(ModelEntry entry, ModelConfig config, std::vector<std::string> gone);
  static void SayLoaded(const Model& model);
  // Its answers are broken off after --evict-after.
  Task<> StopModel(ModelPtr model, std::string why);
  // The same, counted: nobody asked for it.
  Task<> Evict(ModelPtr model, std::string why);
  Task<> StopAndForget(ModelPtr model, bool force, Millis keep);
  void WatchIdle();
  Task<> UnloadIdle();
  Task<> RestartAfterCrashes(ModelPtr model);
  // By the memory and the file that there are now. Errors: those of PlanLoad, and kOutOfBudget: what crashed makes
  // nobody else go.
  Task<Status> JudgeAgain(ModelPtr model);
  // It stays unloaded until it is asked for.
  Task<> GiveUp(ModelPtr model, std::string error);
  ModelPtr LeastRecentlyUsed(const std::vector<std::string>& but) const;
  void Forget(const ModelPtr& model);

  const Executor executor_;
  asio::thread_pool& worker_;
  const Settings& settings_;
  ModelLibrary& library_;
  ModelLookup lookup_;
  RoomFinder room_;
  Simulations simulations_;  // of the worker
  const ConfigStore& store_;
  PromptCache prompts_;
  Culprits culprits_;
  const std::string socket_folder_;
  LoadedModels models_;
  LoadHistory history_;
  WaitingLine line_;
  bool watches_idle_ = false;
  LoadTurns turns_;
  Wakeup stopped_;  // a model
  bool ending_ = false;
  unsigned next_socket_ = 0;
};

}  // namespace headrace::serve
