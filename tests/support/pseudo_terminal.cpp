#include "pseudo_terminal.h"

#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "command_runner.h"

namespace headrace::cli {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

PseudoTerminal::PseudoTerminal(const std::vector<std::string>& words, std::map<std::string, std::string> environment,
                               unsigned short columns, unsigned short lines) {
  environment.try_emplace("TERM", "xterm");
  environment.erase("LINES");
  environment.erase("COLUMNS");
  ExecArguments arguments(words, environment);
  winsize size{lines, columns, 0, 0};
  pid_ = forkpty(&terminal_, nullptr, nullptr, &size);
  if (pid_ == 0) {
    arguments.Exec();
    _exit(99);
  }
}

PseudoTerminal::~PseudoTerminal() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (terminal_ >= 0) close(terminal_);
}

// False at its end.
bool PseudoTerminal::Read() {
  pollfd fd{terminal_, POLLIN, 0};
  if (poll(&fd, 1, 100) <= 0) return true;
  char buffer[4096];
  const ssize_t count = read(terminal_, buffer, sizeof buffer);
  if (count > 0) drawn_.append(buffer, static_cast<size_t>(count));
  return count > 0;
}

bool PseudoTerminal::WaitFor(const std::string& text) {
  const auto limit = Clock::now() + std::chrono::seconds(60);
  while (drawn_.find(text) == std::string::npos) {
    if (Clock::now() > limit || !Read()) return drawn_.find(text) != std::string::npos;
  }
  return true;
}

void PseudoTerminal::Type(const std::string& keys) {
  [[maybe_unused]] const ssize_t count = write(terminal_, keys.data(), keys.size());
}

void PseudoTerminal::Resize(unsigned short columns, unsigned short lines) {
  const winsize size{lines, columns, 0, 0};
  ioctl(terminal_, TIOCSWINSZ, &size);  // sends SIGWINCH
}

int PseudoTerminal::Finish() {
  const auto limit = Clock::now() + std::chrono::seconds(30);
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (Clock::now() > limit) return -1;
    if (!Read()) usleep(20'000);
  }
  pid_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace headrace::cli
