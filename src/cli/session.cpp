#include "cli/session.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "cli/exit_status.h"
#include "telemetry/snapshot_files.h"

namespace headrace::cli {
namespace {

// The file that the library reports into.
class SnapshotFile {
 public:
  SnapshotFile() {
    auto created = CreateSnapshotFile();
    if (created.ok()) path_ = std::move(*created);
  }
  ~SnapshotFile() {
    if (path_.empty()) return;
    for (const std::string& path : SnapshotFilesOf(path_)) unlink(path.c_str());
  }
  SnapshotFile(const SnapshotFile&) = delete;
  SnapshotFile& operator=(const SnapshotFile&) = delete;

  // "" when none could be created: the run then goes without statistics.
  const std::string& path() const { return path_; }

  // Of several programs under one session the last to stream is shown.
  std::optional<Statistics> Read() const {
    std::optional<Statistics> shown;
    if (path_.empty()) return shown;
    for (const std::string& path : SnapshotFilesOf(path_)) {
      const auto view = SnapshotView::Open(path);
      if (!view.ok()) continue;
      Statistics statistics = ReadStatistics(**view);
      if (!shown || statistics.streamed()) shown = std::move(statistics);
    }
    return shown;
  }

 private:
  std::string path_;
};

}  // namespace

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressLine::Show(const std::string& text) {
  if (!terminal_ || text == shown_) return;
  const std::string line = text.empty() ? "\r\x1b[K" : "\r\x1b[Kheadrace: " + text;
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
  shown_ = text;
}

ProgressLog::ProgressLog() : terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressLog::Show(const std::string& text) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || text.empty() || now < next_) return;
  next_ = now + std::chrono::seconds(2);
  fmt::print(stderr, "headrace: {}\n", text);
}

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
  return SessionResult{*outcome, snapshot.Read()};
}

int ReportEnd(const SessionResult& result, const Config& config, std::string_view program) {
  int status = result.process.exit_status;
  if (result.process.signal != 0) Fail(fmt::format("{} {}", program, DescribeSignal(result.process.signal)), status);
  if (result.statistics && !result.statistics->last_error.empty()) {
    Fail(result.statistics->last_error, kExitFailure);
    if (status == kExitOk) status = kExitFailure;
  }
  const bool streamed = result.statistics && result.statistics->streamed();
  if (status == kExitOk && config.flash_mode == FlashMode::kOn && !streamed) {
    return Fail(fmt::format("--flash-mode on, but {} streamed no weights: it loaded no GGUF model, or its llama.cpp is linked "
                            "statically or of another release; see `headrace doctor`", program), kExitFailure);
  }
  return status;
}

void PrintSummary(const SessionResult& result) {
  for (const std::string& line : SummaryLines(result.statistics.value_or(Statistics()))) {
    fmt::print(stderr, "headrace: {}\n", line);
  }
}

}  // namespace headrace::cli
