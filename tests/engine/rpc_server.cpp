// The engine's RPC server on a free port of this machine, with the processor as its device. Says "rpc_server: port N"
// when it listens, and ends with its standard input, or with its parent.
//
//   rpc_server [--threads N]
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "ggml-backend.h"
#include "llama_host.h"

namespace {

using namespace headrace::testing;

// The port of this process's socket that listens; 0 before there is one.
int ListeningPort() {
  for (int descriptor = 3; descriptor < 64; ++descriptor) {
    int listens = 0;
    socklen_t size = sizeof listens;
    sockaddr_in address{};
    socklen_t address_size = sizeof address;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0 &&
        getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &address_size) == 0 &&
        address.sin_family == AF_INET) {
      return ntohs(address.sin_port);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options(argc, argv, 1, {"--threads"});
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  StartEngine();
  ggml_backend_reg_t rpc = ggml_backend_reg_by_name("RPC");
  if (rpc == nullptr) Die("the engine has no RPC backend");
  const auto start = reinterpret_cast<void (*)(const char*, const char*, size_t, size_t, ggml_backend_dev_t*)>(
      ggml_backend_reg_get_proc_address(rpc, "ggml_backend_rpc_start_server"));
  if (start == nullptr) Die("the RPC backend has no server");

  std::thread([] {
    int port = 0;
    while ((port = ListeningPort()) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::printf("rpc_server: port %d\n", port);
    std::fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    _exit(0);
  }).detach();

  ggml_backend_dev_t processor = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  start("127.0.0.1:0", nullptr, static_cast<size_t>(options.Int("--threads", 2)), 1, &processor);
  Die("the RPC server ended");
}
