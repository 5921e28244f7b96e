#include "batch/part_run.h"

#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <filesystem>
#include <unordered_map>

#include <fmt/format.h>

#include "base/log.h"
#include "batch/answer.h"
#include "batch/schedule.h"
#include "batch/token_count.h"
#include "cli/session.h"
#include "serve/child_client.h"
#include "serve/lone_server.h"

namespace headrace::batch {
namespace {

using serve::Clock;
using serve::Millis;
using serve::Spawn;
using serve::Task;

constexpr Millis kGrace{5000}, kForcedGrace{300};    // for the end of the engine
constexpr Millis kFailureWait{2000};                 // for its end to be seen when an answer breaks off
constexpr Millis kTick{1000};
constexpr Millis kLong{3'600'000};
constexpr std::chrono::seconds kLogEvery{60};        // where standard error is no terminal
constexpr unsigned kMostAttempts = 3;                // of one request that fails while others may not
constexpr unsigned kMostGivenUp = 3;                 // requests in a row: it is not they who fail
constexpr unsigned kMostCrashes = 5;                 // without a result in between

class PartRun {
 public:
  PartRun(const BatchOptions& options, const EngineChoice& engine, const PartPlan& plan, const RequestFile& requests, const Part& part,
          const std::string& socket_path, ResultFile& results, Tally& tally)
      : options_(options), engine_(engine), plan_(plan), requests_(requests), results_(results), tally_(tally), seconds_before_(tally.seconds),
        passes_before_(tally.passes), schedule_(plan.slots.slots, plan.slots.cache_tokens), changed_(loop_.get_executor()), tick_(loop_.get_executor()),
        signals_(loop_, SIGINT, SIGTERM, SIGHUP), server_(loop_.get_executor(), socket_path) {
    for (const size_t i : part.requests) {
      const Demand& demand = Entry(i).demand;
      schedule_.Add(i, NeedOf(demand, demand.likely_prompt_tokens(), plan_.limits));
      work_[i] = ForeseenWork(demand, demand.likely_prompt_tokens());
      AddWork(tally_.waiting, work_[i]);
    }
  }

  PartEnd Run() {
    Spawn(loop_.get_executor(), WaitForSignal());
    Spawn(loop_.get_executor(), Serve());
    Spawn(loop_.get_executor(), Tick());
    loop_.run();
    worker_.join();
    NoteTime();
    tally_.under_way = {};
    return end_;
  }

 private:
  const RequestEntry& Entry(size_t request) const { return requests_.entries()[request]; }

  Work ForeseenWork(const Demand& demand, uint64_t prompt_tokens) const {
    return {prompt_tokens * demand.answers, std::max<uint64_t>(1, demand.prompts) * demand.answers * AnswerTokens(demand, prompt_tokens, plan_.limits)};
  }
  static void AddWork(Work& sum, const Work& work) {
    sum.prompt_tokens += work.prompt_tokens;
    sum.answer_tokens += work.answer_tokens;
  }
  static void TakeWork(Work& sum, const Work& work) {
    sum.prompt_tokens -= work.prompt_tokens;
    sum.answer_tokens -= work.answer_tokens;
  }

  // The first reason counts.
  void End(Status status, int signal = 0) {
    if (stop_) return;
    stop_ = true;
    end_ = {std::move(status), signal};
    changed_.NotifyAll();
    Spawn(loop_.get_executor(), server_.Stop(kForcedGrace));
  }

  Task<> WaitForSignal() {
    serve::ErrorCode error;
    const int signal = co_await signals_.async_wait(serve::Into(error));
    if (!error) End(Status(Code::kCancelled, "interrupted"), signal);
  }

  Task<> Serve() {
    while (!stop_ && !schedule_.finished()) {
      const bool started = co_await StartEngine();
      if (!started) break;
      co_await Feed();
      while (in_flight_ > 0) co_await changed_.Wait();
      NotePasses();
      if (!stop_ && !schedule_.finished()) TakeCrash();
    }
    co_await server_.Stop(kGrace);
    NotePasses();
    ended_ = true;
    signals_.cancel();
    tick_.NotifyAll();
  }

  Task<bool> StartEngine() {
    serve::LoneServerSpec spec;
    spec.label = std::filesystem::path(plan_.model.path).filename().string();
    spec.program = engine_.setup.program;
    spec.arguments = plan_.arguments;
    spec.library = engine_.setup.library;
    spec.config = plan_.config;
    std::function<void()> on_wait = [this] { ShowLoading(); };
    const Status started = co_await server_.Start(std::move(spec), std::move(on_wait));
    if (!started.ok()) {
      End(started);
      co_return false;
    }
    if (begin_ == Clock::time_point()) begin_ = Clock::now();
    Spawn(loop_.get_executor(), WatchEngine(server_.process()));
    co_return true;
  }

  Task<> WatchEngine(std::shared_ptr<serve::ChildProcess> process) {
    bool ended = false;
    while (!ended) ended = co_await process->WaitForEnd(kLong);
    changed_.NotifyAll();
  }

  // Starts requests while there is room for them, until all have a result or the engine has ended.
  Task<> Feed() {
    const auto process = server_.process();
    while (!stop_ && process->running() && !schedule_.finished()) {
      const auto next = schedule_.Next();
      if (!next) {
        co_await changed_.Wait();
        continue;
      }
      auto request = requests_.Read(Entry(*next));
      if (!request.ok()) {
        End(request.status());
        break;
      }
      const Demand& demand = Entry(*next).demand;
      const auto known = counted_.find(*next);
      uint64_t tokens = known == counted_.end() ? 0 : known->second;
      if (known == counted_.end()) {
        const auto counted = co_await CountTokens(server_.socket_path(), *request);
        tokens = counted.value_or(demand.most_prompt_tokens());
        counted_.emplace(*next, tokens);
        TakeWork(tally_.waiting, work_[*next]);
        work_[*next] = ForeseenWork(demand, tokens);
        AddWork(tally_.waiting, work_[*next]);
        schedule_.SetNeed(*next, NeedOf(demand, tokens, plan_.limits));
        if (schedule_.Next() != next) continue;
      }
      schedule_.Start(*next);
      ++in_flight_;
      Spawn(loop_.get_executor(), RunOne(*next, UrlOf(request->endpoint), BodyFor(*request, AnswerTokens(demand, tokens, plan_.limits)), process));
    }
  }

  Task<> RunOne(size_t request, std::string url, std::string body, std::shared_ptr<serve::ChildProcess> process) {
    serve::OnEvent ignore = [](std::string_view) { return true; };
    const auto answer = co_await serve::StreamFromChild(server_.socket_path(), std::move(url), std::move(body), std::move(ignore));
    if (!stop_) {
      if (!answer.ok()) {
        // What died with the engine is taken up again when all of it is known.
        if (!co_await process->WaitForEnd(kFailureWait) && !stop_) {
          FailOnce(request, ErrorLine(Entry(request), "engine_error", "llama-server broke its answer off"), answer.status().message());
        }
      } else if (answer->status >= 500 && answer->status != 501) {
        FailOnce(request, ResponseLine(Entry(request), answer->status, answer->body), answer->body);
      } else {
        TakeAnswer(request, answer->status, answer->body);
      }
    }
    --in_flight_;
    changed_.NotifyAll();
  }

  void TakeAnswer(size_t request, int status, const std::string& body) {
    if (const Status streams = CheckStreaming(); !streams.ok()) return End(streams);
    if (status == 200) {
      const Usage usage = UsageOf(body);
      AddWork(tally_.finished, usage.work);
      AddWork(tally_.limits, work_[request]);
      tally_.cut_off += usage.ended_by_length && EndedByContext(request, usage.work.answer_tokens);
      crashes_ = given_up_ = 0;
    }
    Write(request, ResponseLine(Entry(request), status, body), status != 200);
  }

  // An answer that did not come to its end was shorter than it could have been.
  bool EndedByContext(size_t request, uint64_t tokens) const {
    const auto limit = Entry(request).demand.answer_tokens ? Entry(request).demand.answer_tokens : options_.answer;
    return !limit || tokens < *limit;
  }

  // A failure that may not be the request's own.
  void FailOnce(size_t request, const std::string& line, const std::string& why) {
    if (++attempts_[request] < kMostAttempts) return schedule_.Repeat(request);
    if (++given_up_ < kMostGivenUp) return Write(request, line, true);
    End(Status(Code::kInternal, fmt::format("{} requests in a row failed {} times each: {}", kMostGivenUp, kMostAttempts, WhyItFails(why))));
  }

  std::string WhyItFails(const std::string& engine) const {
    const auto statistics = server_.ReadStatistics();
    return statistics && !statistics->last_error.empty() ? statistics->last_error : engine.substr(0, 300);
  }

  void TakeCrash() {
    const std::string how = server_.process()->DescribeEnd();
    if (++crashes_ >= kMostCrashes) {
      return End(Status(Code::kInternal, fmt::format("llama-server ended {} times without a result in between; the last time it {}", crashes_, how)));
    }
    progress_.Show("");
    LogWarning(fmt::format("llama-server {}; it is started again, and what it was doing done again", how));
    const auto alone = schedule_.alone();
    if (!alone) return schedule_.RepeatAllAlone();
    FailOnce(*alone, ErrorLine(Entry(*alone), "engine_crashed", fmt::format("llama-server {}", how)), how);
  }

  void Write(size_t request, const std::string& line, bool failed) {
    if (const Status written = results_.Append(line); !written.ok()) return End(written);
    dirty_ = true;
    schedule_.Finish(request);
    TakeWork(tally_.waiting, work_[request]);
    ++tally_.done;
    tally_.failed += failed;
  }

  // The engine may be one that the library cannot reach.
  Status CheckStreaming() {
    if (checked_ || !plan_.model.streams()) return {};
    const auto statistics = server_.ReadStatistics();
    if (statistics && statistics->streamed() && statistics->passes > 0) {
      checked_ = true;
      return {};
    }
    return Status(Code::kInternal, fmt::format("flash weight streaming was asked for and cannot be had: {}",
                                               statistics && !statistics->last_error.empty()
                                                   ? statistics->last_error
                                                   : "llama-server computed without it; its weights may be on a GPU or its llama.cpp of another kind: "
                                                     "see `headrace doctor`"));
  }

  void NoteTime() {
    if (begin_ != Clock::time_point()) tally_.seconds = seconds_before_ + std::chrono::duration<double>(Clock::now() - begin_).count();
  }

  // Of this engine and those before it.
  void NotePasses() {
    const auto statistics = server_.ReadStatistics();
    if (!statistics) return;
    passes_[statistics->process_id] = statistics->passes;
    tally_.passes = passes_before_;
    for (const auto& [process, passes] : passes_) tally_.passes += passes;
  }

  void ShowLoading() {
    if (options_.quiet) return;
    const auto statistics = server_.ReadStatistics();
    const std::string text = statistics ? cli::ProgressText(*statistics) : "";
    progress_.Show(text.empty() ? "starting llama-server" : text);
  }

  // Once a second: what was written reaches the disk, and people see how far it is.
  Task<> Tick() {
    auto next_log = Clock::now() + kLogEvery;
    const bool terminal = isatty(STDERR_FILENO) == 1;
    while (!ended_) {
      co_await tick_.WaitFor(kTick);
      if (dirty_) co_await SyncResults();
      if (begin_ == Clock::time_point()) continue;
      NoteTime();
      const bool log = !terminal && Clock::now() >= next_log;
      if (options_.quiet || ended_ || stop_ || (!terminal && !log)) continue;
      co_await AskProgress();
      if (ended_ || stop_) continue;
      if (terminal) progress_.Show(ProgressText(tally_));
      if (log) {
        LogWarning(ProgressText(tally_));
        next_log = Clock::now() + kLogEvery;
      }
    }
    if (dirty_) co_await SyncResults();
  }

  Task<> SyncResults() {
    dirty_ = false;
    Status synced;
    std::function<void()> sync = [this, &synced] { synced = results_.Sync(); };
    co_await serve::OnWorker(worker_, std::move(sync));
    if (!synced.ok()) End(synced);
  }

  // The engine answers between two passes.
  Task<> AskProgress() {
    const auto slots = co_await serve::AskChild(server_.socket_path(), "GET", "/slots", "");
    tally_.under_way = slots.ok() && slots->status == 200 ? UnderWay(slots->body) : Work();
  }

  const BatchOptions& options_;
  const EngineChoice& engine_;
  const PartPlan& plan_;
  const RequestFile& requests_;
  ResultFile& results_;
  Tally& tally_;
  const double seconds_before_;
  const uint64_t passes_before_;
  Schedule schedule_;
  serve::asio::io_context loop_{1};
  serve::asio::thread_pool worker_{1};            // waits for the disk
  serve::Wakeup changed_;                         // a request or the engine ended, or all is to end
  serve::Wakeup tick_;
  serve::asio::signal_set signals_;
  serve::LoneServer server_;
  cli::ProgressLine progress_;
  std::unordered_map<size_t, Work> work_;
  std::unordered_map<size_t, uint64_t> counted_;  // tokens of the prompts
  std::unordered_map<size_t, unsigned> attempts_;
  std::unordered_map<uint64_t, uint64_t> passes_; // of each engine, by its process
  unsigned crashes_ = 0, given_up_ = 0;
  int in_flight_ = 0;
  bool stop_ = false, ended_ = false, dirty_ = false, checked_ = false;
  Clock::time_point begin_{};                     // the engine answered first
  PartEnd end_;
};

}  // namespace

PartEnd RunPart(const BatchOptions& options, const EngineChoice& engine, const PartPlan& plan, const RequestFile& requests, const Part& part,
                const std::string& socket_path, ResultFile& results, Tally& tally) {
  PartRun run(options, engine, plan, requests, part, socket_path, results, tally);
  return run.Run();
}

}  // namespace headrace::batch
