#include "process/capture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/size.h"
#include "base/text_file.h"

namespace headrace::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kTimeLimit = std::chrono::seconds(30);
constexpr size_t kMostOutput = 4 * kMiB;
constexpr int kPollMs = 20;
// The kernel's figure for a program counts the copy of this process that became it. Where that may be larger than the
// program, it is watched instead, so often that little of its end is missed.
constexpr uint64_t kSmallCopy = 8 * kMiB;
constexpr int kWatchMs = 2;

// Appends what is there; what comes after the most is read and dropped. False at the end of the stream.
bool Drain(int pipe, std::string& output) {
  char buffer[16 * 1024];
  while (true) {
    const ssize_t count = read(pipe, buffer, sizeof buffer);
    if (count > 0) {
      output.append(buffer, std::min(static_cast<size_t>(count), kMostOutput - output.size()));
    } else if (count == 0 || errno != EINTR) {
      return count < 0 && errno == EAGAIN;
    }
  }
}

// A line of /proc/PID/status, for instance "VmHWM:"; 0: the process has ended.
uint64_t StatusBytes(pid_t process, const char* name) {
  const std::string text = ReadTextFile(fmt::format("/proc/{}/status", process)).value_or("");
  const size_t line = text.find(name);
  return line == std::string::npos ? 0 : std::strtoull(text.c_str() + line + std::strlen(name), nullptr, 10) * kKiB;
}

}  // namespace

Result<CaptureResult> Capture(const std::string& program, const std::vector<std::string>& arguments, bool merge_stderr,
                              const Environment& environment) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return Status(Code::kIo, fmt::format("cannot prepare to start {}: {}", program, std::strerror(errno)));
  }
  Descriptor output(ends[0]);
  Descriptor write(ends[1]);
  fcntl(output.get(), F_SETFL, O_NONBLOCK);
  StartSpec spec;
  spec.program = program;
  spec.arguments = arguments;
  spec.environment = environment;
  spec.stdin_null = true;
  spec.stderr_null = !merge_stderr;
  spec.stderr_to_stdout = merge_stderr;
  spec.stdout_fd = write.get();
  spec.death_signal = SIGKILL;
  // fork() copies no pages of files.
  const uint64_t copy_bytes = StatusBytes(getpid(), "RssAnon:") + kSmallCopy / 4;
  const bool watched = copy_bytes > kSmallCopy;
  const auto child = StartProcess(spec, KeepOnlyStandardStreams);
  if (!child.ok()) return child.status();
  write = Descriptor();

  CaptureResult result;
  const auto begin = Clock::now();
  bool killed = false;
  uint64_t seen_bytes = 0;
  while (true) {
    if (watched) seen_bytes = std::max(seen_bytes, StatusBytes(*child, "VmHWM:"));
    int status = 0;
    rusage usage{};
    const pid_t ended = wait4(*child, &status, WNOHANG, &usage);
    if (ended == *child || (ended < 0 && errno != EINTR)) {
      // A grandchild that keeps the pipe open is not waited for.
      if (output.valid()) Drain(output.get(), result.output);
      result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      result.exit_status = result.signal != 0 ? 128 + result.signal : WEXITSTATUS(status);
      result.peak_bytes = static_cast<uint64_t>(usage.ru_maxrss) * kKiB;
      if (result.peak_bytes <= copy_bytes && seen_bytes > 0) result.peak_bytes = seen_bytes;
      return result;
    }
    if (!killed && Clock::now() - begin > kTimeLimit) killed = kill(*child, SIGKILL) == 0;
    pollfd fd = {output.get(), POLLIN, 0};
    poll(&fd, output.valid() ? 1 : 0, watched ? kWatchMs : kPollMs);
    if (output.valid() && !Drain(output.get(), result.output)) output = Descriptor();
  }
}

}  // namespace headrace::cli
