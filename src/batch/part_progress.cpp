#include "batch/part_progress.h"

#include <unistd.h>

#include "base/log.h"
#include "base/say.h"
#include "batch/usage.h"
#include "llama_server/child_client.h"

namespace headrace::batch {
namespace {

constexpr serve::Millis kTick{1000};
constexpr std::chrono::seconds kLogEvery{60};  // where standard error is no terminal

}  // namespace

serve::Task<Status> PartProgress::Run() {
  auto next_log = serve::Clock::now() + kLogEvery;
  const bool terminal = isatty(STDERR_FILENO) == 1;
  while (!ended_) {
    co_await tick_.WaitFor(kTick);
    if (const Status synced = co_await SyncResults(); !synced.ok()) co_return synced;
    if (begin_ == serve::Clock::time_point()) continue;
    NoteTime();
    const bool log = !terminal && serve::Clock::now() >= next_log;
    if (NotesLeftOut() || ended_ || (!terminal && !log)) continue;
    co_await AskSlots();
    if (ended_) continue;
    if (terminal) line_.Show(ProgressText(tally_));
    if (log) {
      LogWarning(ProgressText(tally_));
      next_log = serve::Clock::now() + kLogEvery;
    }
  }
  co_return co_await SyncResults();
}

void PartProgress::End() {
  ended_ = true;
  tick_.NotifyAll();
}

void PartProgress::ShowLoading() {
  const auto statistics = server_.ReadStatistics();
  const std::string text = statistics ? cli::ProgressText(*statistics) : "";
  line_.Show(text.empty() ? "starting llama-server" : text);
}

void PartProgress::Begin() {
  if (begin_ == serve::Clock::time_point()) begin_ = serve::Clock::now();
}

void PartProgress::NoteTime() {
  if (begin_ != serve::Clock::time_point())
    tally_.seconds = seconds_before_ + std::chrono::duration<double>(serve::Clock::now() - begin_).count();
}

void PartProgress::NotePasses() {
  const auto statistics = server_.ReadStatistics();
  if (!statistics) return;
  passes_[statistics->process_id] = statistics->passes;
  tally_.passes = passes_before_;
  for (const auto& [process, passes] : passes_) tally_.passes += passes;
}

serve::Task<Status> PartProgress::SyncResults() {
  if (synced_ == tally_.done) co_return Status();
  synced_ = tally_.done;
  Status synced;
  std::function<void()> sync = [this, &synced] { synced = results_.Sync(); };
  co_await serve::OnWorker(worker_, std::move(sync));
  co_return synced;
}

// The engine answers between two passes.
serve::Task<> PartProgress::AskSlots() {
  const auto slots = co_await serve::AskChild(server_.socket_path(), "GET", "/slots", "", serve::kUsualQuestion);
  tally_.under_way = slots.ok() && slots->status == 200 ? UnderWay(slots->body) : Work();
}

}  // namespace headrace::batch
