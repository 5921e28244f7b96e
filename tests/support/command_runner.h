// Runs the headrace command as a user does, in a world of its own: a home that is empty, no HEADRACE_
// variables, a process group that signals can be sent to.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/temporary_tree.h"

namespace headrace::cli {

struct Outcome {
  int status = -1;  // as a shell shows it
  std::string out, err;
};

bool Has(const std::string& text, const std::string& part);
// Asks until `holds`, at most a minute.
bool Eventually(const std::function<bool()>& holds);

// llama-completion 0.7.0 now and then loses the last tokens of an answer, with or without headrace: one of both texts
// may end earlier, but for its line break.
testing::AssertionResult SameText(std::string a, std::string b);

// Words and variables as execve takes them: copied before a fork, used after it.
class ExecArguments {
 public:
  ExecArguments(const ExecArguments&) = delete;
  ExecArguments(std::vector<std::string> words, const std::map<std::string, std::string>& environment);
  // Returns only when that fails.
  void Exec() { execve(words_[0], words_.data(), variables_.data()); }

 private:
  std::vector<std::string> texts_;
  std::vector<char*> words_, variables_;  // into texts_, null at the end
};

class RunningCommand;

class CommandTest : public testing::Test {
 protected:
  void SetUp() override;

  Outcome Run(const std::vector<std::string>& arguments);
  // The same through /bin/sh; $HEADRACE is the command.
  Outcome Shell(const std::string& script);
  RunningCommand Start(const std::vector<std::string>& arguments);

  // One line that starts with "headrace: ", nothing on standard output, this exit status.
  void ExpectError(const std::vector<std::string>& arguments, int status, const std::string& part);

  static std::string Model() { return std::string(HEADRACE_SOURCE_DIR) + "/models/austen-dense-q4_0.gguf"; }

  TemporaryTree tree_;
  std::map<std::string, std::string> environment_;
};

// What is started meanwhile, and what that starts, has this signal blocked.
class BlockedSignal {
 public:
  explicit BlockedSignal(int signal) {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, signal);
    sigprocmask(SIG_BLOCK, &blocked, &before_);
  }
  ~BlockedSignal() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignal(const BlockedSignal&) = delete;
  BlockedSignal& operator=(const BlockedSignal&) = delete;

 private:
  sigset_t before_{};
};

class RunningCommand {
 public:
  RunningCommand(const std::vector<std::string>& words, const std::map<std::string, std::string>& environment);
  RunningCommand(RunningCommand&&) = delete;
  ~RunningCommand();

  // Waits until standard output contains `text`; false after 60 s.
  bool WaitForOutput(const std::string& text);
  void SignalGroup(int signal) const;
  void SignalCommand(int signal) const;
  Outcome Finish();
  pid_t pid() const { return pid_; }

  pid_t id() const { return pid_; }
  // Processes that it started.
  std::vector<pid_t> Children() const;
  // Standard output, as far as WaitForOutput has read it.
  const std::string& output() const { return seen_; }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  std::string seen_, err_text_;
  std::thread err_reader_;
};

}  // namespace headrace::cli
