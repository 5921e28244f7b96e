#include "llama_server/child_process.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <istream>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/log.h"
#include "base/say.h"
#include "llama_server/descriptor_limit.h"
#include "report/exit_status.h"

namespace headrace::serve {
namespace {

constexpr Millis kReapTime{5000};
constexpr int kReapTimes = 2;
constexpr Millis kLogTime{500};  // that the rest of the log may take after the end
constexpr size_t kLongestLine = 4096;
constexpr size_t kLongestError = 400;

// In the new process before the program runs: our limits and our sockets are not its own.
void ResetProcess() {
  RestoreDescriptorLimit();
  // What it writes (prompts) is this user's alone.
  umask(077);
  cli::KeepOnlyStandardStreams();
}

// The text of a line that llama.cpp marks as an error, "0.00.027.739 E llama_model_load: ...", else "".
std::string ErrorText(const std::string& line) {
  const size_t mark = line.find(" E ");
  if (mark > 24) return "";  // or there is none
  std::string text = cli::OneLine(line.substr(mark + 3));
  if (text.size() > kLongestError) text.resize(kLongestError);
  return text;
}

}  // namespace

ChildProcess::ChildProcess(const Executor& executor, ChildSpec spec, int log_fd)
    : spec_(std::move(spec)), ended_(executor, SIGCHLD), log_(executor, log_fd), changed_(executor) {}

ChildProcess::~ChildProcess() {
  if (!running()) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Result<std::shared_ptr<ChildProcess>> ChildProcess::Start(const Executor& executor, ChildSpec spec) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return Status(Code::kIo, fmt::format("cannot prepare to start {}: {}", spec.program, std::strerror(errno)));
  }
  const Descriptor log_write(ends[1]);
  cli::StartSpec start;
  start.program = spec.program;
  start.arguments = spec.arguments;
  start.environment = spec.environment;
  start.stdin_null = true;
  start.stdout_fd = log_write.get();
  start.stderr_to_stdout = true;
  start.own_group = spec.own_group;
  start.death_signal = SIGKILL;
  std::shared_ptr<ChildProcess> child(new ChildProcess(executor, std::move(spec), ends[0]));
  const auto pid = cli::StartProcess(start, ResetProcess);
  if (!pid.ok()) return pid.status();
  child->pid_ = *pid;
  const auto read = [](std::shared_ptr<ChildProcess> self) -> Task<> { co_await self->ReadLog(); };
  const auto watch = [](std::shared_ptr<ChildProcess> self) -> Task<> { co_await self->WatchEnd(); };
  Spawn(executor, read(child));
  Spawn(executor, watch(child));
  return child;
}

bool ChildProcess::Reap() {
  if (!running()) return true;
  if (waitpid(pid_, &end_, WNOHANG) != pid_) return false;
  pid_ = -1;
  return true;
}

Task<> ChildProcess::WatchEnd() {
  while (!Reap()) {
    ErrorCode ignored;
    co_await ended_.async_wait(Into(ignored));
  }
  // What it wrote last says why; something that it started may hold the pipe open.
  const auto limit = Clock::now() + kLogTime;
  while (!log_ended_ && Clock::now() < limit) co_await changed_.WaitFor(kLogTime);
  log_.close();
  log_ended_ = true;
  changed_.NotifyAll();
}

Task<> ChildProcess::ReadLog() {
  asio::streambuf buffer(4 * kLongestLine);
  while (true) {
    ErrorCode error;
    co_await asio::async_read_until(log_, buffer, '\n', Into(error));
    if (error && error != asio::error::not_found && buffer.size() == 0) break;
    std::istream stream(&buffer);
    std::string line;
    std::getline(stream, line);
    TakeLine(std::move(line));
    if (error && error != asio::error::not_found) break;
  }
  log_ended_ = true;
  changed_.NotifyAll();
}

void ChildProcess::TakeLine(std::string line) {
  if (first_error_.empty()) first_error_ = ErrorText(line);
  constexpr std::string_view kOurs = "headrace: ";
  const bool ours = line.starts_with(kOurs);
  if (!ours && !spec_.debug) return;
  if (ours) line.erase(0, kOurs.size());
  if (line.size() > kLongestLine) line.resize(kLongestLine);
  Say(fmt::format("[{}] {}", spec_.label, line));
}

Task<bool> ChildProcess::WaitForEnd(Millis time) {
  const auto limit = Clock::now() + time;
  while (running() || !log_ended_) {
    const auto left = std::chrono::duration_cast<Millis>(limit - Clock::now());
    if (left.count() <= 0) co_return false;
    co_await changed_.WaitFor(left);
  }
  co_return true;
}

Task<> ChildProcess::Stop(Millis grace) {
  const auto self = shared_from_this();
  if (running()) kill(pid_, SIGTERM);
  const bool ended = !stopped() && co_await WaitForEnd(grace);
  if (ended) co_return;
  if (running()) kill(pid_, SIGKILL);
  for (int i = 0; i < kReapTimes; ++i) {
    const bool reaped = co_await WaitForEnd(kReapTime);
    if (reaped) co_return;
  }
  LogWarning(fmt::format("{}: process {} was killed but has not ended: the kernel holds it, usually because of a disk",
                         spec_.label, pid_));
}

bool ChildProcess::stopped() const {
  if (!running()) return false;
  std::ifstream file(fmt::format("/proc/{}/stat", pid_));
  std::string text;
  std::getline(file, text);
  // "PID (NAME) STATE": the name may hold anything.
  const size_t name_end = text.rfind(')');
  return name_end != std::string::npos && name_end + 2 < text.size() &&
         (text[name_end + 2] == 'T' || text[name_end + 2] == 't');
}

std::string ChildProcess::DescribeEnd() const {
  const std::string why = first_error_.empty() ? "" : ": " + first_error_;
  const cli::LaunchOutcome how = outcome();
  if (how.signal != 0) return cli::DescribeSignal(how.signal, spec_.streams) + why;
  return fmt::format("ended with status {}{}", how.exit_status, why);
}

}  // namespace headrace::serve
