// How far a part of a batch is: once a second what was written reaches the disk, and people see it.
#pragma once

#include <unordered_map>

#include "batch/result_file.h"
#include "batch/tally.h"
#include "http/net.h"
#include "llama_server/lone_server.h"
#include "report/progress_line.h"

namespace headrace::batch {

// Lives on the loop; all that it is made with outlives it.
class PartProgress {
 public:
  PartProgress(const serve::Executor& executor, const serve::LoneServer& server, ResultFile& results, Tally& tally)
      : server_(server),
        results_(results),
        tally_(tally),
        seconds_before_(tally.seconds),
        passes_before_(tally.passes),
        tick_(executor) {}

  // Returns after End. Error: that of ResultFile::Sync, at once.
  serve::Task<Status> Run();
  void End();

  void ShowLoading();
  void Hide() { line_.Show(""); }
  // The engine answers; the time counts from the first time on.
  void Begin();
  // Into the tally: the time, and the passes of this engine and those before it.
  void NoteTime();
  void NotePasses();

 private:
  serve::Task<Status> SyncResults();
  serve::Task<> AskSlots();

  const serve::LoneServer& server_;
  ResultFile& results_;
  Tally& tally_;
  const double seconds_before_;
  const uint64_t passes_before_;
  serve::Wakeup tick_;
  serve::asio::thread_pool worker_{1};  // waits for the disk
  cli::ProgressLine line_;
  std::unordered_map<uint64_t, uint64_t> passes_;  // of each engine, by its process
  serve::Clock::time_point begin_{};
  uint64_t synced_ = 0;  // results that are on the disk
  bool ended_ = false;
};

}  // namespace headrace::batch
