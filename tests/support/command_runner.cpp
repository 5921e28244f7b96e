#include "command_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace headrace::cli {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

bool Eventually(const std::function<bool()>& holds) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

testing::AssertionResult SameText(std::string a, std::string b) {
  constexpr size_t kMostLost = 24;
  for (std::string* text : {&a, &b}) text->erase(text->find_last_not_of('\n') + 1);
  const bool near = std::max(a.size(), b.size()) - std::min(a.size(), b.size()) <= kMostLost;
  if (near && !a.empty() && !b.empty() && (a.starts_with(b) || b.starts_with(a))) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\n" << a << "\nis not\n" << b;
}

void CommandTest::SetUp() {
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (equals == std::string::npos || name.starts_with("HEADRACE_") || name.starts_with("XDG_") ||
        name == "LD_PRELOAD")
      continue;
    environment_[name] = text.substr(equals + 1);
  }
  environment_["HOME"] = tree_.Path("home");
  environment_["HEADRACE_ENGINE"] = HEADRACE_ENGINE_PREFIX;
  environment_["HEADRACE"] = HEADRACE_COMMAND;
  environment_["OMP_WAIT_POLICY"] = "passive";  // several tests run at once
}

Outcome CommandTest::Run(const std::vector<std::string>& arguments) { return Start(arguments).Finish(); }

Outcome CommandTest::Shell(const std::string& script) {
  return RunningCommand({"/bin/sh", "-c", script}, environment_).Finish();
}

RunningCommand CommandTest::Start(const std::vector<std::string>& arguments) {
  std::vector<std::string> words{HEADRACE_COMMAND};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return RunningCommand(words, environment_);
}

void CommandTest::ExpectError(const std::vector<std::string>& arguments, int status, const std::string& part) {
  const Outcome outcome = Run(arguments);
  std::string words;
  for (const std::string& word : arguments) words += word + " ";
  EXPECT_EQ(outcome.status, status) << words << outcome.err;
  EXPECT_EQ(outcome.out, "") << words;
  EXPECT_TRUE(outcome.err.starts_with("headrace: ")) << words << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << words << outcome.err;
  EXPECT_NE(outcome.err.find(part), std::string::npos) << words << outcome.err;
}

ExecArguments::ExecArguments(std::vector<std::string> words, const std::map<std::string, std::string>& environment)
    : texts_(std::move(words)) {
  const size_t count = texts_.size();
  for (const auto& [name, value] : environment) texts_.push_back(name + "=" + value);
  for (size_t i = 0; i < texts_.size(); ++i) (i < count ? words_ : variables_).push_back(texts_[i].data());
  words_.push_back(nullptr);
  variables_.push_back(nullptr);
}

RunningCommand::RunningCommand(const std::vector<std::string>& words,
                               const std::map<std::string, std::string>& environment) {
  ExecArguments arguments(words, environment);
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) return;
  pid_ = fork();
  if (pid_ == 0) {
    // A test that is killed leaves nobody behind.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    const int null_fd = open("/dev/null", O_RDONLY);
    dup2(null_fd, STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    arguments.Exec();
    _exit(99);
  }
  setpgid(pid_, pid_);
  close(out[1]);
  close(err[1]);
  out_ = out[0];
  err_ = err[0];
  err_reader_ = std::thread([this] {
    char buffer[4096];
    for (ssize_t count = 0; (count = read(err_, buffer, sizeof buffer)) > 0;)
      err_text_.append(buffer, static_cast<size_t>(count));
  });
}

RunningCommand::~RunningCommand() {
  if (pid_ > 0) {
    kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (err_reader_.joinable()) err_reader_.join();
  close(out_);
  close(err_);
}

bool RunningCommand::WaitForOutput(const std::string& text) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (seen_.find(text) == std::string::npos && std::chrono::steady_clock::now() < limit) {
    pollfd fd{out_, POLLIN, 0};
    if (poll(&fd, 1, 200) <= 0) continue;
    char buffer[4096];
    const ssize_t count = read(out_, buffer, sizeof buffer);
    if (count <= 0) break;
    seen_.append(buffer, static_cast<size_t>(count));
  }
  return seen_.find(text) != std::string::npos;
}

void RunningCommand::SignalGroup(int signal) const { kill(-pid_, signal); }
void RunningCommand::SignalCommand(int signal) const { kill(pid_, signal); }

std::vector<pid_t> RunningCommand::Children() const {
  std::vector<pid_t> children;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    std::ifstream file(entry.path() / "stat");
    std::string text;
    if (!std::getline(file, text)) continue;
    int parent = 0;
    char state = 0;
    // The name in parentheses may hold anything.
    if (std::sscanf(text.c_str() + text.rfind(')') + 1, " %c %d", &state, &parent) == 2 && parent == pid_) {
      children.push_back(std::atoi(entry.path().filename().c_str()));
    }
  }
  return children;
}

Outcome RunningCommand::Finish() {
  Outcome outcome;
  char buffer[4096];
  for (ssize_t count = 0; (count = read(out_, buffer, sizeof buffer)) > 0;)
    seen_.append(buffer, static_cast<size_t>(count));
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  err_reader_.join();
  outcome.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  outcome.out = seen_;
  outcome.err = err_text_;
  return outcome;
}

}  // namespace headrace::cli
