#include "rpc_child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "child.h"

namespace headrace::testing {
namespace {

constexpr int kStartMilliseconds = 20000;

}  // namespace

RpcServer::RpcServer() {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0) {
    error_ = strerror(errno);
    return;
  }
  const Descriptor read_end(in[0]);
  input_ = Descriptor(in[1]);
  if (pipe2(out, O_CLOEXEC) != 0) {
    error_ = strerror(errno);
    return;
  }
  output_ = Descriptor(out[0]);
  const Descriptor write_end(out[1]);

  std::vector<std::string> variables = {"GGML_NO_BACKTRACE=1", "OMP_WAIT_POLICY=passive"};
  for (const auto& [name, value] : RpcDevice().environment) variables.push_back(name + "=" + value);
  if (const char* path = getenv("PATH")) variables.push_back(std::string("PATH=") + path);
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  std::string program = HEADRACE_RPC_SERVER;
  char* const arguments[] = {program.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, read_end.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  const int failure = posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments, environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) {
    process_ = -1;
    error_ = program + ": " + strerror(failure);
    return;
  }

  // The engine's server says other things beside.
  constexpr const char* kSays = "rpc_server: port ";
  std::string said;
  const auto port = [&] { return Lines(said.substr(0, said.rfind('\n') + 1), kSays); };
  while (port().empty()) {
    pollfd ready{output_.get(), POLLIN, 0};
    char bytes[512];
    const ssize_t size = poll(&ready, 1, kStartMilliseconds) == 1 ? read(output_.get(), bytes, sizeof bytes) : -1;
    if (size <= 0) {
      error_ = "the RPC server did not start; it said: " + said;
      return;
    }
    said.append(bytes, static_cast<size_t>(size));
  }
  endpoint_ = "127.0.0.1:" + port().front().substr(std::strlen(kSays));
}

RpcServer::~RpcServer() {
  input_ = Descriptor();
  if (process_ > 0) waitpid(process_, nullptr, 0);
}

}  // namespace headrace::testing
