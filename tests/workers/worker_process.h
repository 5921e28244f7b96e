// `headrace worker` of its own, and the environment in which the engine has its RPC backend.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "serve_test.h"

namespace headrace::serve {

// A worker on a free port of this machine: what runs, and its address in `address`. Null, and a failure, when it does
// not listen.
std::unique_ptr<cli::RunningCommand> StartWorkerProcess(const std::map<std::string, std::string>& environment,
                                                        const std::vector<std::string>& options, std::string& address);

class WorkersTest : public ServeTest {
 protected:
  void SetUp() override;
  // A worker on a free port of this machine. False, and a failure, when it does not listen.
  bool StartWorker(const std::vector<std::string>& options = {"--ram", "300M"});
  // SIGKILL to all of its processes.
  void KillWorker();
  // SIGTERM, as an end of the test: what it said.
  cli::Outcome EndWorker();

  // Words of a run with the bundled model, a deterministic answer of `tokens`, everything streamed that is here.
  static std::vector<std::string> AnswerWords(const std::string& tokens);
  // llama-completion now and then loses an answer's last tokens, of a short one all of them: then it is asked again.
  cli::Outcome Ask(const std::vector<std::string>& words);
  // The text of that without a worker, not streamed, with the kernels that a worker has.
  std::string Plainly(const std::string& tokens);

  std::string worker_;  // HOST:PORT
  std::unique_ptr<cli::RunningCommand> worker_process_;
};

std::vector<std::string> operator+(std::vector<std::string> words, const std::vector<std::string>& more);

}  // namespace headrace::serve
