#include "batch/part_run.h"

#include <boost/asio/signal_set.hpp>
#include <filesystem>
#include <unordered_map>

#include "batch/part_progress.h"
#include "batch/part_results.h"
#include "batch/schedule.h"
#include "batch/token_count.h"
#include "llama_server/child_client.h"
#include "llama_server/lone_server.h"
#include "process/start_signals.h"

namespace headrace::batch {
namespace {

using serve::Millis;
using serve::Spawn;
using serve::Task;

constexpr Millis kGrace{5000}, kForcedGrace{300};  // for the end of the engine
constexpr Millis kFailureWait{2000};               // for its end to be seen when an answer breaks off
constexpr Millis kLong{3'600'000};

class PartRun {
 public:
  PartRun(const BatchOptions& options, const EngineChoice& engine, const PartPlan& plan, const RequestFile& requests,
          const Part& part, const std::string& socket_path, ResultFile& results, Tally& tally)
      : engine_(engine),
        plan_(plan),
        requests_(requests),
        schedule_(plan.slots.slots, plan.slots.cache_tokens),
        changed_(loop_.get_executor()),
        signals_(loop_),
        server_(loop_.get_executor(), socket_path),
        results_(options, plan, requests, server_, schedule_, results, tally),
        progress_(loop_.get_executor(), server_, results, tally) {
    for (const size_t i : part.requests) {
      const Demand& demand = Entry(i).demand;
      schedule_.Add(i, NeedOf(demand, demand.likely_prompt_tokens(), plan_.limits));
      results_.Foresee(i, demand.likely_prompt_tokens());
    }
  }

  PartEnd Run() {
    for (const int signal : cli::EndingSignals()) signals_.add(signal);
    Spawn(loop_.get_executor(), WaitForSignal());
    Spawn(loop_.get_executor(), Serve());
    Spawn(loop_.get_executor(), ShowProgress());
    loop_.run();
    progress_.NoteTime();
    return end_;
  }

 private:
  const RequestEntry& Entry(size_t request) const { return requests_.entries()[request]; }

  // The first reason counts; none is no end.
  void EndFor(Status status, int signal = 0) {
    if (stop_ || status.ok()) return;
    stop_ = true;
    end_ = {std::move(status), signal};
    changed_.NotifyAll();
    progress_.End();
    Spawn(loop_.get_executor(), server_.Stop(kForcedGrace));
  }

  Task<> WaitForSignal() {
    serve::ErrorCode error;
    const int signal = co_await signals_.async_wait(serve::Into(error));
    if (!error) EndFor(Status(Code::kCancelled, "interrupted"), signal);
  }

  Task<> ShowProgress() {
    const Status synced = co_await progress_.Run();
    EndFor(synced);
  }

  Task<> Serve() {
    while (!stop_ && !schedule_.finished()) {
      const bool started = co_await StartEngine();
      if (!started) break;
      co_await Feed();
      while (in_flight_ > 0) co_await changed_.Wait();
      progress_.NotePasses();
      if (stop_ || schedule_.finished()) break;
      progress_.Hide();
      EndFor(results_.TakeCrash());
    }
    co_await server_.Stop(kGrace);
    progress_.NotePasses();
    progress_.End();
    signals_.cancel();
  }

  Task<bool> StartEngine() {
    serve::LoneServerSpec spec;
    spec.label = std::filesystem::path(plan_.model.path).filename().string();
    spec.program = engine_.setup.program;
    spec.arguments = plan_.arguments.words();
    spec.library = engine_.setup.library;
    spec.config = plan_.config;
    std::function<void()> on_wait = [this] { progress_.ShowLoading(); };
    const Status started = co_await server_.Start(std::move(spec), std::move(on_wait));
    EndFor(started);
    if (!started.ok()) co_return false;
    progress_.Begin();
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
        EndFor(request.status());
        break;
      }
      const uint64_t tokens = co_await CountOnce(*next, *request);
      // It may have to wait now that its need is known.
      if (schedule_.Next() != next) continue;
      schedule_.Start(*next);
      ++in_flight_;
      const uint64_t answer_tokens = AnswerTokens(Entry(*next).demand, tokens, plan_.limits);
      Spawn(loop_.get_executor(), RunOne(*next, UrlOf(request->endpoint), BodyFor(*request, answer_tokens), process));
    }
  }

  // The tokens of its prompts, which the schedule and the tally then know too.
  Task<uint64_t> CountOnce(size_t request, Request body) {
    if (const auto known = counted_.find(request); known != counted_.end()) co_return known->second;
    const Demand& demand = Entry(request).demand;
    const auto counted = co_await CountTokens(server_.socket_path(), std::move(body));
    const uint64_t tokens = counted.value_or(demand.most_prompt_tokens());
    counted_.emplace(request, tokens);
    results_.Foresee(request, tokens);
    schedule_.SetNeed(request, NeedOf(demand, tokens, plan_.limits));
    co_return tokens;
  }

  Task<> RunOne(size_t request, std::string url, std::string body, std::shared_ptr<serve::ChildProcess> process) {
    serve::OnEvent ignore = [](std::string_view) { return true; };
    const auto answer =
        co_await serve::StreamFromChild(server_.socket_path(), std::move(url), std::move(body), std::move(ignore));
    if (!stop_ && answer.ok()) EndFor(results_.TakeAnswer(request, answer->status, answer->body));
    // What died with the engine is taken up again when all of it is known.
    if (!stop_ && !answer.ok()) {
      const bool died = co_await process->WaitForEnd(kFailureWait);
      if (!died && !stop_) EndFor(results_.TakeBrokenAnswer(request, answer.status().message()));
    }
    --in_flight_;
    changed_.NotifyAll();
  }

  const EngineChoice& engine_;
  const PartPlan& plan_;
  const RequestFile& requests_;
  Schedule schedule_;
  serve::asio::io_context loop_{1};
  serve::Wakeup changed_;  // a request or the engine ended, or all is to end
  serve::asio::signal_set signals_;
  serve::LoneServer server_;
  PartResults results_;
  PartProgress progress_;
  std::unordered_map<size_t, uint64_t> counted_;  // tokens of the prompts
  int in_flight_ = 0;
  bool stop_ = false;
  PartEnd end_;
};

}  // namespace

PartEnd RunPart(const BatchOptions& options, const EngineChoice& engine, const PartPlan& plan,
                const RequestFile& requests, const Part& part, const std::string& socket_path, ResultFile& results,
                Tally& tally) {
  const PartEnd end = PartRun(options, engine, plan, requests, part, socket_path, results, tally).Run();
  tally.under_way = {};
  return end;
}

}  // namespace headrace::batch
