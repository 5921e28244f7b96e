// A model that is loaded, or being loaded: its process, what it is doing, who uses it.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/status.h"
#include "http/net.h"
#include "llama_server/lone_server.h"
#include "serve/models/admission.h"
#include "serve/models/culprits.h"
#include "serve/models/load_plan.h"
#include "serve/models/prompt_cache.h"

namespace headrace::serve {

// For the prompts of an unloaded model to be written: by itself, and where somebody waits who said "force".
inline constexpr Millis kKeepTime{120'000}, kForcedKeepTime{5'000};

enum class ModelState {
  kLoading,   // its process starts, or brings weights into memory
  kLoaded,    // answers
  kStopping,  // answers what it has accepted, takes nothing new
  kCrashed,   // its process ended by itself; started again after a while
  kGone,      // ended for good; error() says why if it was not asked for
};
const char* ToString(ModelState state);

// When a model that ends no longer waits for its answers.
struct BreakOff {
  std::chrono::seconds after{0};  // 0: never
  std::string why;                // for those whose answers are broken off
};

class Model : public std::enable_shared_from_this<Model> {
 public:
  Model(const Executor& executor, asio::thread_pool& worker, const Settings& settings, PromptCache& prompts,
        Culprits& culprits, LoadPlan plan, std::string socket_path);

  // Starts the process, waits until it answers, lets it compute once, and checks that weights were streamed where
  // they must be. Status kCancelled after Stop. Also starts it again after a crash.
  Task<Status> Start();
  // Lets what runs finish (unless `force`, or a signal holds the process), breaks it off after `limit`, gives the
  // process `keep` at most to write down what outlives it, ends it. The state is kGone afterwards.
  Task<> Stop(bool force, Millis keep, BreakOff limit);
  // Without a limit. (GCC 12 destroys a default argument of a coroutine twice.)
  Task<> Stop(bool force, Millis keep = kKeepTime) { return Stop(force, keep, BreakOff()); }
  // Why all that runs, or waits for room, is broken off; "" as long as it is not.
  const std::string& broken_off() const { return broken_off_; }
  // Returns how the process of a loaded model has ended by itself; "" once Stop was called.
  Task<std::string> WaitForCrash();

  const std::string& id() const { return plan_.entry.id; }
  const LoadPlan& plan() const { return plan_; }
  // Of a crashed model, for its next start.
  void SetPlan(LoadPlan plan);
  const std::string& socket_path() const { return server_.socket_path(); }
  ModelState state() const { return state_; }
  bool stopped() const { return stop_; }
  void SetState(ModelState state, std::string error = "");
  const std::string& error() const { return error_; }
  Task<> WaitForChange() { return changed_.Wait(); }
  Task<bool> WaitForChange(Millis time) { return changed_.WaitFor(time); }

  // What became of the process while it had a request: for its answer. Waits a moment for it to end.
  Task<std::string> DescribeFailure();
  // How the process ended, with the worker that was lost.
  Task<std::string> DescribeEnd();
  // A signal holds its process.
  bool held() const { return server_.process() != nullptr && server_.process()->stopped(); }
  // One of the files that shape what it computes is not what it was when it was loaded: its path, else "". Looks at the
  // disk.
  std::string ChangedFile() const { return headrace::ChangedFile(plan_.stamps); }

  // A request that its process computes, by fingerprint, in this scope: who was there when it ended is remembered.
  class Computing {
   public:
    // `cancel` breaks it off; its coroutine goes on a moment later.
    Computing(Model& model, uint64_t request, std::function<void()> cancel)
        : model_(model), at_(model.computing_.emplace(request, std::move(cancel))) {}
    ~Computing() { model_.computing_.erase(at_); }
    Computing(const Computing&) = delete;
    Computing& operator=(const Computing&) = delete;

   private:
    Model& model_;
    std::multimap<uint64_t, std::function<void()>>::iterator at_;
  };
  const Culprits& culprits() const { return culprits_; }
  // Its adapters get other scales: from now on nobody can say what its slots were computed with, so they are not kept.
  void NoteOtherAdapters() { other_adapters_ = true; }

  std::optional<cli::Statistics> ReadStatistics() const { return server_.ReadStatistics(); }
  // Memory that its process holds. (Pages of a mapped file are the kernel's.)
  uint64_t HeldBytes() const;
  // Memory that it was granted and does not hold yet.
  uint64_t UnusedBytes() const { return plan_.granted_bytes - std::min(plan_.granted_bytes, HeldBytes()); }

  uint64_t slots = 0, context = 0;         // that its process told; context: of one request
  std::optional<uint64_t> default_tokens;  // of an answer whose request names no limit; none: no limit
  // The limit that an answer gets whose request names none, where requests share a KV cache; none: no limit, or
  // default_tokens.
  std::optional<uint64_t> AnswerLimit() const;
  // Of one input of an embedding or a reranking at most; 0: none are served.
  uint64_t input_tokens() const { return std::min(plan_.input_tokens, request_tokens()); }
  uint64_t request_tokens() const { return context > 0 ? context : plan_.context; }  // prompt and answer
  double load_seconds = 0;
  unsigned crashes = 0;          // one after the other
  uint64_t restarts = 0;         // in all
  Clock::time_point retry_at{};  // of kCrashed
  Clock::time_point loaded_at{};
  std::optional<std::chrono::seconds> keep_alive;  // without requests, in place of --ttl; 0: for ever

  // Room for its requests.
  Admission& admission() { return admission_; }
  const Admission& admission() const { return admission_; }
  int requests() const { return requests_; }
  uint64_t requests_in_all() const { return requests_in_all_; }
  Clock::time_point last_used() const { return last_used_; }
  Clock::time_point started_at() const { return started_at_; }

 private:
  friend class Lease;
  Task<Status> StartProcess();
  Task<Status> ComputeOnce();
  Status CheckStreaming() const;
  Task<> AskProperties();
  Task<> Learn(Millis time);
  // Breaks off what runs, and waits until all know.
  Task<> CancelAll(std::string why);
  // Its number of requests changes by so many.
  void CountRequests(int change);
  // What it leaves for the next time. Once, and only while it computes for nobody.
  Task<> Keep(Millis time);
  // Its process has ended by itself: those who were computed are remembered, once for each process.
  void NoteEnd();

  asio::thread_pool& worker_;
  const Settings& settings_;
  PromptCache& prompts_;
  Culprits& culprits_;
  std::multimap<uint64_t, std::function<void()>> computing_;
  std::weak_ptr<ChildProcess> noted_end_;  // of this one
  LoadPlan plan_;
  LoneServer server_;
  Json adapters_;  // with their scales, as they were when its process had started
  Admission admission_;
  ModelState state_ = ModelState::kLoading;
  bool stop_ = false, kept_ = false, hangs_ = false, other_adapters_ = false;
  std::string error_, broken_off_;
  Wakeup changed_;  // state or number of requests
  int requests_ = 0;
  // Since Start: seconds with a request, and the sum of the requests' seconds, no more than slots at a time.
  double busy_s_ = 0, requests_s_ = 0;
  Clock::time_point counted_at_ = Clock::now();
  uint64_t requests_in_all_ = 0;
  Clock::time_point last_used_ = Clock::now(), started_at_ = Clock::now();
};

// One request's hold on a model: it is not unloaded meanwhile, unless by force.
class Lease {
 public:
  explicit Lease(std::shared_ptr<Model> model);
  Lease(Lease&& other) noexcept = default;
  Lease& operator=(Lease&&) = delete;
  ~Lease();
  Model& model() const { return *model_; }

 private:
  std::shared_ptr<Model> model_;
};

}  // namespace headrace::serve
