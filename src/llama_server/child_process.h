// One llama-server as a child process: started, listened to, ended, reaped.
#pragma once

#include <sys/types.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "http/net.h"
#include "process/launcher.h"

namespace headrace::serve {

struct ChildSpec {
  std::string label;  // before each of its lines in our log: the model's id
  std::string program;
  std::vector<std::string> arguments;
  cli::Environment environment;
  bool debug = false;     // all it writes goes to our log, not only what the library says
  bool own_group = true;  // Ctrl-C reaches us alone and we can drain; else it is stopped with us
  bool streams = false;   // the library is in it
};

// Lives on the loop; kept alive by its own coroutines until the process has ended. It is ended when we are killed.
class ChildProcess : public std::enable_shared_from_this<ChildProcess> {
 public:
  // Errors: those of StartProcess.
  static Result<std::shared_ptr<ChildProcess>> Start(const Executor& executor, ChildSpec spec);
  ~ChildProcess();

  pid_t id() const { return pid_; }
  bool running() const { return pid_ > 0; }
  // A signal holds it (SIGSTOP): it answers nothing.
  bool stopped() const;

  // SIGTERM, and SIGKILL after `grace`, at once where it is stopped; returns when it has ended, or cannot be ended: it
  // is in the kernel and does not come back, which a line says.
  Task<> Stop(Millis grace);
  // False when it still runs after `time`.
  Task<bool> WaitForEnd(Millis time);

  // "crashed (Segmentation fault)...", "ended with status 1"; with the first error that it wrote, if any.
  std::string DescribeEnd() const;
  const std::string& first_error() const { return first_error_; }
  // How it has ended.
  cli::LaunchOutcome outcome() const { return cli::OutcomeOf(end_); }

 private:
  ChildProcess(const Executor& executor, ChildSpec spec, int log_fd);
  Task<> WatchEnd();
  Task<> ReadLog();
  void TakeLine(std::string line);
  bool Reap();

  ChildSpec spec_;
  pid_t pid_ = -1;  // -1: ended
  int end_ = 0;     // of waitpid
  boost::asio::signal_set ended_;
  boost::asio::posix::stream_descriptor log_;
  bool log_ended_ = false;
  Wakeup changed_;
  std::string first_error_;
};

}  // namespace headrace::serve
