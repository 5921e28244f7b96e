#include "process/process_start.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "process/start_signals.h"

namespace headrace::cli {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Never returns. Only async-signal-safe calls.
[[noreturn]] void RunChild(const StartSpec& spec, const std::function<void()>& in_child, int failure_fd,
                           char* const* arguments, char* const* environment, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, spec.death_signal);
  if (getppid() != parent) _exit(143);
  if (spec.own_group) setpgid(0, 0);
  const auto redirect = [](int from, int to) { return dup2(from, to) >= 0; };
  bool ok = true;
  if (spec.stdin_null || spec.stderr_null) {
    const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    ok = null_fd >= 0;
    if (ok && spec.stdin_null) ok = redirect(null_fd, STDIN_FILENO);
    if (ok && spec.stderr_null) ok = redirect(null_fd, STDERR_FILENO);
  }
  if (ok && spec.stdout_fd >= 0) ok = redirect(spec.stdout_fd, STDOUT_FILENO);
  if (ok && spec.stderr_to_stdout) ok = redirect(STDOUT_FILENO, STDERR_FILENO);
  if (ok) {
    in_child();
    RestoreSignals();
    execve(spec.program.c_str(), arguments, environment);
  }
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(failure_fd, &error, sizeof error);
  _exit(127);
}

// headrace serve's own: nobody else needs it, whoever has exported it.
constexpr std::string_view kServersKey = "HEADRACE_API_KEY";
constexpr int kMostDescriptors = 65536;

}  // namespace

void KeepOnlyStandardStreams() {
  if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  for (int fd = 3; fd < kMostDescriptors; ++fd) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

Result<pid_t> StartProcess(const StartSpec& spec, const std::function<void()>& in_child) {
  std::vector<std::string> argument_texts{spec.program};
  argument_texts.insert(argument_texts.end(), spec.arguments.begin(), spec.arguments.end());
  std::vector<std::string> environment_texts = MergeEnvironment(environ, spec.environment);
  const std::vector<char*> arguments = Pointers(argument_texts);
  const std::vector<char*> environment = Pointers(environment_texts);

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return Status(Code::kIo, fmt::format("cannot prepare to start {}: {}", spec.program, std::strerror(errno)));
  }
  const Descriptor failure_read(ends[0]);
  Descriptor failure_write(ends[1]);
  std::fflush(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return Status(Code::kIo, fmt::format("cannot start {}: {}", spec.program, std::strerror(errno)));
  if (child == 0) RunChild(spec, in_child, failure_write.get(), arguments.data(), environment.data(), parent);
  failure_write = Descriptor();
  int error = 0;
  ssize_t count = 0;
  do {
    count = read(failure_read.get(), &error, sizeof error);
  } while (count < 0 && errno == EINTR);
  if (count == static_cast<ssize_t>(sizeof error)) {
    waitpid(child, nullptr, 0);
    const Code code = error == ENOENT ? Code::kNotFound : Code::kPermission;
    return Status(code, fmt::format("cannot start {}: {}", spec.program, std::strerror(error)));
  }
  return child;
}

std::vector<std::string> MergeEnvironment(const char* const* current, const Environment& changes) {
  std::vector<std::string> merged;
  for (; current != nullptr && *current != nullptr; ++current) {
    const std::string_view entry = *current;
    const std::string_view name = entry.substr(0, entry.find('='));
    if (name == kServersKey) continue;
    bool replaced = false;
    for (const auto& change : changes) replaced = replaced || change.first == name;
    if (!replaced) merged.emplace_back(entry);
  }
  for (const auto& [name, value] : changes) merged.push_back(name + "=" + value);
  return merged;
}

std::string PreloadValue(const char* existing, const std::string& library) {
  std::string value = library;
  std::string_view rest = existing == nullptr ? "" : existing;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find_first_of(": "), rest.size());
    const std::string_view entry = rest.substr(0, end);
    if (!entry.empty() && entry != library) value.append(":").append(entry);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return value;
}

}  // namespace headrace::cli
