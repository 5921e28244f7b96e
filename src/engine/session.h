// One program run under the library: preloaded, configured, watched and summed up.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/config.h"
#include "base/status.h"
#include "process/launcher.h"
#include "report/statistics.h"

namespace headrace::cli {

struct Session {
  LaunchSpec launch;    // what to start; on_tick and the environment's HEADRACE_ part are the session's
  Config config;        // snapshot_path is the session's
  std::string library;  // to preload; "" when flash mode is off
  // Nothing but what passes through launch.on_stdout reaches the terminal, so progress may be replaced in
  // place. Without it (a chat, a server with its log) progress is whole lines, a few of them.
  bool owns_terminal = false;
};

struct SessionResult {
  LaunchOutcome process;
  std::optional<Statistics> statistics;  // none when the library never reported
  bool unknown = false;                  // it could not report: there was no room for a file
  bool on_devices = false;  // known beforehand: no weight is left to the processor, nothing streams once it is loaded
};

// Runs it to its end. While the first pass loads, standard error shows the progress if it is a terminal. The snapshot
// file lives in memory (/dev/shm, else $TMPDIR) and is gone afterwards.
Result<SessionResult> RunSession(Session session);

// Says on standard error what went wrong, if anything, and returns the exit status of headrace:
// ended by a signal; a pass that failed; flash mode on but nothing streamed; else the program's own.
int ReportEnd(const SessionResult& result, const Config& config, std::string_view program);

// SummaryLines on standard error, each after "headrace: ".
void PrintSummary(const SessionResult& result);

}  // namespace headrace::cli
