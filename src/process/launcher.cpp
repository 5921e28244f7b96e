#include "process/launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "process/start_signals.h"

namespace headrace::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kTickMs = 100;

// Blocks the signals that we handle while a program runs, and undoes it. Blocked signals are read from a
// descriptor, so nothing of ours ever runs inside a signal handler.
class SignalGuard {
 public:
  SignalGuard() {
    sigset_t handled;
    sigemptyset(&handled);
    sigaddset(&handled, SIGCHLD);
    for (const int signal : EndingSignals()) sigaddset(&handled, signal);
    sigprocmask(SIG_BLOCK, &handled, &original_mask_);
    fd_ = Descriptor(signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~SignalGuard() { Restore(); }
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

  // Also called in the child, between fork and exec.
  void Restore() const { sigprocmask(SIG_SETMASK, &original_mask_, nullptr); }
  int fd() const { return fd_.get(); }

 private:
  sigset_t original_mask_{};
  Descriptor fd_;
};

struct Pipe {
  Descriptor read, write;
  bool Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read = Descriptor(ends[0]);
    write = Descriptor(ends[1]);
    return true;
  }
};

// Passes the signals on that the child did not get by itself.
void Forward(int fd, pid_t child) {
  signalfd_siginfo info{};
  while (read(fd, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD) continue;
    // The terminal's own signals come from the kernel and went to the whole group.
    const bool from_terminal = info.ssi_code == SI_KERNEL;
    if (!from_terminal) kill(child, signal);
  }
}

// Reads what is there. False at the end of the stream.
bool Drain(Descriptor& pipe, const LaunchSpec& spec) {
  char buffer[16 * 1024];
  while (true) {
    const ssize_t count = read(pipe.get(), buffer, sizeof buffer);
    if (count > 0) {
      if (spec.on_stdout(std::string_view(buffer, static_cast<size_t>(count)))) continue;
      return false;
    }
    if (count < 0 && errno == EINTR) continue;
    return count < 0 && errno == EAGAIN;
  }
}

LaunchOutcome Wait(pid_t child, const LaunchSpec& spec, const SignalGuard& signals, Descriptor output) {
  LaunchOutcome outcome;
  const auto start = Clock::now();
  auto next_tick = start;
  while (true) {
    int status = 0;
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) {
      // What it wrote last; a grandchild that keeps the pipe open is not waited for.
      if (output.valid()) Drain(output, spec);
      const bool timed_out = outcome.timed_out;
      outcome = OutcomeOf(status);
      outcome.timed_out = timed_out;
      return outcome;
    }
    const auto now = Clock::now();
    if (spec.time_limit_ms > 0 && !outcome.timed_out && now - start > std::chrono::milliseconds(spec.time_limit_ms)) {
      outcome.timed_out = true;
      kill(child, SIGKILL);
    }
    if (spec.on_tick && now >= next_tick) {
      spec.on_tick();
      next_tick = now + std::chrono::milliseconds(kTickMs);
    }
    pollfd fds[2] = {{signals.fd(), POLLIN, 0}, {output.get(), POLLIN, 0}};
    poll(fds, output.valid() ? 2 : 1, kTickMs);
    Forward(signals.fd(), child);
    if (output.valid() && !Drain(output, spec)) output = Descriptor();
  }
}

}  // namespace

LaunchOutcome OutcomeOf(int wait_status) {
  const int signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
  return {signal != 0 ? 128 + signal : WEXITSTATUS(wait_status), signal, false};
}

Result<LaunchOutcome> Launch(const LaunchSpec& spec) {
  Pipe output;
  const SignalGuard signals;
  if (signals.fd() < 0 || (spec.on_stdout && !output.Open())) {
    return Status(Code::kIo, fmt::format("cannot prepare to start {}: {}", spec.program, std::strerror(errno)));
  }
  StartSpec start = spec;
  if (spec.on_stdout) {
    fcntl(output.read.get(), F_SETFL, O_NONBLOCK);
    start.stdout_fd = output.write.get();
  }
  const auto child = StartProcess(start, [&signals] { signals.Restore(); });
  output.write = Descriptor();
  if (!child.ok()) return child.status();
  return Wait(*child, spec, signals, std::move(output.read));
}

}  // namespace headrace::cli
