#include "child.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>

#include "base/descriptor.h"
#include "models.h"

namespace headrace::testing {
namespace {

// A file without a name takes the child's output: a pipe would need a reader to keep it from blocking.
Descriptor OutputFile(const char* name) { return Descriptor(memfd_create(name, MFD_CLOEXEC)); }

std::string ReadAll(const Descriptor& file) {
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return {};
  std::string text(static_cast<size_t>(info.st_size), '\0');
  const ssize_t read = pread(file.get(), text.data(), text.size(), 0);
  text.resize(read > 0 ? static_cast<size_t>(read) : 0);
  return text;
}

std::string Tail(const std::string& text) {
  constexpr size_t kMost = 2000;
  return text.size() <= kMost ? text : "..." + text.substr(text.size() - kMost);
}

std::vector<std::string> Environment(const std::map<std::string, std::string>& added) {
  // Threads that spin while others hold the cores turn seconds into minutes on a busy machine.
  // An abort of the engine's must end the child, not start a debugger on it.
  // What is kept between runs is never the user's own, nor another test's.
  std::map<std::string, std::string> variables = {{"OMP_WAIT_POLICY", "passive"},
                                                  {"GGML_NO_BACKTRACE", "1"},
                                                  {"XDG_CACHE_HOME", WorkDirectory() + "/cache"},
                                                  {"XDG_CONFIG_HOME", WorkDirectory() + "/config"}};
  for (const char* name : {"PATH", "HOME", "TMPDIR", "LANG"}) {
    if (const char* value = getenv(name)) variables[name] = value;
  }
  for (const auto& [name, value] : added) variables[name] = value;
  std::vector<std::string> result;
  for (const auto& [name, value] : variables) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (auto& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void FailInChild(const char* what) {
  dprintf(STDERR_FILENO, "cannot start the child: %s: %s\n", what, strerror(errno));
  _exit(127);
}

// Between fork and exec: system calls only.
[[noreturn]] void Exec(char* const* argv, char* const* envp, const ChildOptions& options, int out, int err) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  if (!options.cgroup_procs.empty()) {
    const int group = open(options.cgroup_procs.c_str(), O_WRONLY | O_CLOEXEC);
    if (group < 0 || write(group, "0", 1) != 1) FailInChild(options.cgroup_procs.c_str());
  }
  if (!options.directory.empty() && chdir(options.directory.c_str()) != 0) FailInChild(options.directory.c_str());
  execvpe(argv[0], argv, envp);
  FailInChild(argv[0]);
}

}  // namespace

ChildResult RunChild(const std::vector<std::string>& arguments, const ChildOptions& options) {
  ChildResult result;
  result.arguments = arguments;
  const Descriptor out = OutputFile("stdout");
  const Descriptor err = OutputFile("stderr");
  std::vector<std::string> argument_strings = arguments;
  std::vector<std::string> environment_strings = Environment(options.environment);
  const std::vector<char*> argv = Pointers(argument_strings);
  const std::vector<char*> envp = Pointers(environment_strings);

  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const pid_t child = fork();
  if (child == 0) Exec(argv.data(), envp.data(), options, out.get(), err.get());
  if (child < 0) {
    result.exit_code = 127;
    result.err = std::string("fork: ") + strerror(errno);
    return result;
  }
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, WNOHANG, &usage) == 0) {
    if (!result.timed_out && Clock::now() - start > options.timeout) {
      result.timed_out = true;
      kill(-child, SIGKILL);
      kill(child, SIGKILL);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  result.max_rss_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  result.out = ReadAll(out);
  result.err = ReadAll(err);
  return result;
}

std::string ChildResult::Describe() const {
  std::ostringstream text;
  text << "command:";
  for (const auto& argument : arguments) text << ' ' << argument;
  text << "\nended: ";
  if (timed_out) {
    text << "killed after its time limit";
  } else if (signal != 0) {
    text << "signal " << signal << " (" << strsignal(signal) << ")";
  } else {
    text << "exit status " << exit_code;
  }
  text << " after " << seconds << " s\nstdout: " << Tail(out) << "\nstderr: " << Tail(err) << "\n";
  return text.str();
}

std::vector<std::string> Lines(const std::string& text, const std::string& part) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.find(part) != std::string::npos) lines.push_back(line);
  }
  return lines;
}

}  // namespace headrace::testing
