#include "engine/session.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "base/say.h"
#include "report/exit_status.h"
#include "report/progress_line.h"
#include "report/snapshot_file.h"

namespace headrace::cli {

Result<SessionResult> RunSession(Session session) {
  const SnapshotFile snapshot;
  session.config.snapshot_path = session.library.empty() ? "" : snapshot.path();
  LaunchSpec& launch = session.launch;
  for (const auto& variable : session.config.ToEnvironment()) launch.environment.push_back(variable);
  if (!session.library.empty()) {
    launch.environment.emplace_back("LD_PRELOAD", PreloadValue(std::getenv("LD_PRELOAD"), session.library));
  }
  ProgressLine progress;
  ProgressLog log;
  launch.on_tick = [&] {
    const auto statistics = snapshot.Read();
    if (!statistics) return;
    // Between loading and the first pass (a chat that waits for its user) there is nothing to show.
    if (session.owns_terminal) {
      progress.Show(ProgressText(*statistics));
    } else if (statistics->resident_bytes > 0) {
      log.Show(ProgressText(*statistics));
    }
  };
  if (launch.on_stdout) {
    launch.on_stdout = [&progress, inner = launch.on_stdout](std::string_view text) {
      progress.Show("");
      return inner(text);
    };
  }
  auto outcome = Launch(launch);
  if (!outcome.ok()) return outcome.status();
  return SessionResult{*outcome, snapshot.Read(), snapshot.path().empty()};
}

int ReportEnd(const SessionResult& result, const Config& config, std::string_view program) {
  int status = result.process.exit_status;
  if (result.process.signal != 0)
    Fail(fmt::format("{} {}", program, DescribeSignal(result.process.signal, config.wants_library())), status);
  if (result.statistics && !result.statistics->last_error.empty()) {
    Fail(result.statistics->last_error, kExitFailure);
    if (status == kExitOk) status = kExitFailure;
  }
  const bool streamed = result.statistics && result.statistics->streamed();
  const bool on_devices = result.on_devices || (result.statistics && result.statistics->on_devices());
  if (status == kExitOk && config.flash_mode == FlashMode::kOn && !streamed && !result.unknown && !on_devices) {
    return Fail(fmt::format("--flash-mode on, but {} streamed no weights: it mapped no GGUF model (with mmap off a "
                            "model is read into memory), or "
                            "its llama.cpp is linked statically or of another release; see `headrace doctor`",
                            program),
                kExitFailure);
  }
  return status;
}

void PrintSummary(const SessionResult& result) {
  if (result.unknown) return;
  for (const std::string& line : SummaryLines(result.statistics.value_or(Statistics()), result.on_devices)) Say(line);
}

}  // namespace headrace::cli
