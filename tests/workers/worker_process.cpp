#include "worker_process.h"

#include "device_environment.h"

namespace headrace::serve {

std::vector<std::string> operator+(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

void WorkersTest::SetUp() {
  ServeTest::SetUp();
  const auto device = headrace::testing::RpcDevice();
  HEADRACE_NEEDS(device);
  for (const auto& [name, value] : device.environment) environment_[name] = value;
}

std::unique_ptr<cli::RunningCommand> StartWorkerProcess(const std::map<std::string, std::string>& environment,
                                                        const std::vector<std::string>& options, std::string& address) {
  const std::vector<std::string> words = {HEADRACE_COMMAND, "worker", "--listen", "127.0.0.1:0", "--threads", "1"};
  auto worker = std::make_unique<cli::RunningCommand>(words + options, environment);
  if (!worker->WaitForOutput("\n")) {
    ADD_FAILURE() << "no worker: " << worker->Finish().err;
    return nullptr;
  }
  address = worker->output().substr(0, worker->output().find('\n'));
  return worker;
}

bool WorkersTest::StartWorker(const std::vector<std::string>& options) {
  worker_process_ = StartWorkerProcess(environment_, options, worker_);
  return worker_process_ != nullptr;
}

void WorkersTest::KillWorker() {
  worker_process_->SignalGroup(SIGKILL);
  worker_process_->Finish();
}

cli::Outcome WorkersTest::EndWorker() {
  worker_process_->SignalCommand(SIGTERM);
  return worker_process_->Finish();
}

std::vector<std::string> WorkersTest::AnswerWords(const std::string& tokens) {
  return {"run",   CommandTest::Model(),
          "-p",    "It is a truth",
          "--raw", "-n",
          tokens,  "--temp",
          "0",     "-c",
          "512",   "--ram",
          "600M",  "-t",
          "1",     "--kernels",
          "plain"};
}

cli::Outcome WorkersTest::Ask(const std::vector<std::string>& words) {
  constexpr int kTimes = 5;
  cli::Outcome outcome;
  for (int i = 0; i < kTimes; ++i) {
    outcome = Run(words);
    if (outcome.status != 0 || outcome.out.find_first_not_of(" \n") != std::string::npos) break;
  }
  return outcome;
}

std::string WorkersTest::Plainly(const std::string& tokens) {
  const auto outcome = Ask(AnswerWords(tokens) + std::vector<std::string>{"--flash-mode", "off", "--", "--no-repack"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_FALSE(outcome.out.empty()) << outcome.err;
  return outcome.out;
}

}  // namespace headrace::serve
