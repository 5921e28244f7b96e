// One llama-server for one model, private to this process: it listens on a unix socket and reports through a snapshot
// file. Who uses it says what for: one answer, a batch, or a model of `headrace serve`.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/status.h"
#include "http/net.h"
#include "llama_server/child_process.h"
#include "report/snapshot_file.h"

namespace headrace::serve {

struct LoneServerSpec {
  std::string label;                   // the model's name: before lines of its log, and in errors
  std::string program;                 // llama-server
  std::vector<std::string> arguments;  // of BuildServerArguments, with the socket's path
  std::string library;                 // preloaded where `config` wants it
  Config config;                       // snapshot_path is the server's own
  bool own_group = true;               // no signals of our terminal; see ChildSpec
};

// Lives on the loop, longer than its coroutines.
class LoneServer {
 public:
  // Nothing else may be at `socket_path`, which lies in a private folder (private_folder.h).
  LoneServer(const Executor& executor, std::string socket_path);
  ~LoneServer();

  // Returns when it answers; `on_wait` is called about twenty times a second meanwhile. Also starts it again after its
  // end. Errors: those of StartProcess; kInternal with how it ended and its first error; kCancelled after Stop.
  Task<Status> Start(LoneServerSpec spec, std::function<void()> on_wait = {});
  // SIGTERM, and SIGKILL after `grace`; returns when it has ended. For good.
  Task<> Stop(Millis grace);

  const std::string& socket_path() const { return socket_path_; }
  // None while the library has not reported.
  std::optional<cli::Statistics> ReadStatistics() const { return snapshot_.Read(); }
  // Of weights that should stream, after a first pass: why they do not, "" when they do.
  std::string WhyNotStreaming() const;
  // That was started last, null when none was.
  const std::shared_ptr<ChildProcess>& process() const { return process_; }

 private:
  ChildSpec MakeChild(LoneServerSpec spec) const;

  const Executor executor_;
  const std::string socket_path_;
  const cli::SnapshotFile snapshot_;
  std::shared_ptr<ChildProcess> process_;
  bool stopped_ = false;
};

}  // namespace headrace::serve
