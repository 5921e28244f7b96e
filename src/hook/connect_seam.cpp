// Seam 6, workers: the engine's RPC backend waits for a worker's answer without end. A worker whose machine has gone
// without a word (no power, no network) would never be noticed: its connections are asked for signs of life.
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/probe_when_silent.h"

#define HEADRACE_SEAM __attribute__((visibility("default")))

namespace {

// After so much silence, and again so often.
constexpr int kSilentSeconds = 5, kTimes = 3;
constexpr unsigned kUnansweredMs = 1000 * kSilentSeconds * (kTimes + 1);

bool IsOfRpcBackend(const void* return_address) {
  Dl_info caller{};
  return dladdr(return_address, &caller) != 0 && caller.dli_fname != nullptr &&
         std::strstr(caller.dli_fname, "libggml-rpc") != nullptr;
}

void AskForLife(int descriptor) {
  headrace::ProbeWhenSilent(descriptor, kSilentSeconds, kTimes);
  setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnansweredMs, sizeof kUnansweredMs);
}

}  // namespace

extern "C" HEADRACE_SEAM int connect(int descriptor, const sockaddr* address, socklen_t size) {
  static const auto real = reinterpret_cast<decltype(&::connect)>(dlsym(RTLD_NEXT, "connect"));
  if (real == nullptr) {
    errno = ENOSYS;
    return -1;
  }
  if (address != nullptr && address->sa_family == AF_INET && IsOfRpcBackend(__builtin_return_address(0)))
    AskForLife(descriptor);
  return real(descriptor, address, size);
}
