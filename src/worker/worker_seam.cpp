// The library of `headrace worker`. Loaded into a program of the engine, it makes of it the engine's own RPC server:
// when the program has loaded the engine's backends, the server starts, and the program goes no further.
//
// Clients. The engine's server has one client at a time, lets others wait without a word, and ends with a client that
// sends what it does not understand. So each connection gets a process of its own: it is forked when the server
// accepts.
//
// The budget. The server asks for memory through functions that it finds by the dynamic linker. The ones here come
// first: they tell clients the budget as the device's memory, and refuse a buffer beyond it. What is no buffer
// (messages, what kernels work in) is counted where it is large (large_blocks.h), and ends the connection of a client
// whose message does not fit. RLIMIT_DATA keeps each process to what is charged to its client.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include <fmt/format.h>

#include "base/probe_when_silent.h"
#include "base/say.h"
#include "base/size.h"
#include "base/worker_settings.h"
#include "ggml-backend.h"
#include "ggml.h"
#include "memory/process_memory.h"
#include "worker/client_memory.h"
#include "worker/large_blocks.h"
#include "worker/weight_cache_seam.h"
#include "worker/worker_limits.h"

#define HEADRACE_SEAM __attribute__((visibility("default")))

namespace {

using headrace::ClientMemory;
using headrace::FormatSize;

// A client whose machine is gone is noticed after three times as long.
constexpr int kSilentSeconds = 10, kProbes = 3;
constexpr int kReapMs = 200;

// Of the process that forks: a client's process, by its id.
struct Client {
  int account;
  std::string address;
};

// Fixed before the server starts, or when a client's process begins. The server's threads outlive main.
struct Worker {
  ClientMemory* memory = nullptr;
  uint64_t beside_bytes = 0;
  std::optional<headrace::WeightCache> cache;
  bool listens = false;
  std::unordered_map<pid_t, Client> clients;
  // In a client's process.
  int account = -1;
  uint64_t private_bytes = 0;  // that it had when it began
  int connection = -1;
  std::string address;
  bool introduced = false;
  std::mutex mutex;
  std::unordered_map<ggml_backend_buffer_t, uint64_t> buffers;
};
Worker* g_worker = nullptr;

template <typename Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
#define HEADRACE_REAL(name)                                  \
  static const auto real = Real<decltype(::name)>(#name);    \
  if (real == nullptr) {                                     \
    headrace::SayError("the engine has no function " #name); \
    _exit(headrace::kWorkerNoBackend);                       \
  }

std::string AddressText(const sockaddr_in& address) {
  char text[INET_ADDRSTRLEN] = "";
  inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
  return fmt::format("{}:{}", text, ntohs(address.sin_port));
}

uint64_t NumberOf(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

[[noreturn]] void End(int status, const std::string& why) {
  headrace::SayError(why);
  std::fflush(stdout);
  _exit(status);
}

// What the engine says while it looks for its backends and when a client leaves is no news.
void Log(ggml_log_level level, const char* text, void*) {
  static const bool debug = std::getenv("HEADRACE_DEBUG") != nullptr;
  if (debug || (g_worker != nullptr && level == GGML_LOG_LEVEL_ERROR && g_worker->introduced)) headrace::SayRaw(text);
}

// A client's process holds what is charged to it.
void LimitProcess() {
  rlimit limit{};
  if (getrlimit(RLIMIT_DATA, &limit) != 0) return;
  const uint64_t most = g_worker->private_bytes + g_worker->memory->held_bytes(g_worker->account);
  limit.rlim_cur = std::min<rlim_t>(most, limit.rlim_max);
  setrlimit(RLIMIT_DATA, &limit);
}

// Ends the client's process.
void RefuseBlock(uint64_t bytes) {
  headrace::SayError(fmt::format("worker: what {} sent needs {} at once: {} of {} are free; its connection is closed",
                                 g_worker->address, FormatSize(bytes), FormatSize(g_worker->memory->free_bytes()),
                                 FormatSize(g_worker->memory->all_bytes())));
  _exit(2);
}

ggml_backend_buffer_t Allocate(size_t size, const std::function<ggml_backend_buffer_t()>& allocate) {
  if (g_worker == nullptr || g_worker->account < 0) return allocate();
  ClientMemory& memory = *g_worker->memory;
  if (!std::exchange(g_worker->introduced, true))
    headrace::Say(fmt::format("worker: {} puts weights here", g_worker->address));
  if (!memory.Take(g_worker->account, size)) {
    headrace::SayError(fmt::format("worker: refused {} to {}: {} of {} are free", FormatSize(size), g_worker->address,
                                   FormatSize(memory.free_bytes()), FormatSize(memory.all_bytes())));
    return nullptr;
  }
  LimitProcess();
  const ggml_backend_buffer_t buffer = allocate();
  if (buffer == nullptr) {
    memory.GiveBack(g_worker->account, size);
    headrace::SayError(fmt::format("worker: the system has no {} for {}", FormatSize(size), g_worker->address));
    return nullptr;
  }
  const std::lock_guard lock(g_worker->mutex);
  g_worker->buffers[buffer] = size;
  return buffer;
}

[[noreturn]] void Serve(const char* endpoint) {
  using Start = void (*)(const char*, const char*, size_t, size_t, ggml_backend_dev_t*);
  const auto version = reinterpret_cast<const char* (*)()>(dlsym(RTLD_DEFAULT, "ggml_version"));
  const ggml_backend_reg_t rpc = ggml_backend_reg_by_name("RPC");
  const auto start =
      rpc == nullptr ? nullptr
                     : reinterpret_cast<Start>(ggml_backend_reg_get_proc_address(rpc, "ggml_backend_rpc_start_server"));
  // Before that the function took other arguments.
  int major = 0, minor = 0;
  if (version != nullptr) std::sscanf(version(), "%d.%d", &major, &minor);
  if (start != nullptr && major == 0 && minor < 10)
    End(headrace::kWorkerNoBackend, "this llama.cpp is too old for workers: ggml 0.10 or later is needed");
  ggml_backend_dev_t processor = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (start == nullptr || processor == nullptr) {
    End(headrace::kWorkerNoBackend,
        "this llama.cpp has no RPC backend; `headrace engine install --force` installs one that has it, a system's own "
        "needs the package libggml0-backend-rpc, and a build of your own -DGGML_RPC=ON");
  }
  const uint64_t ram = NumberOf(headrace::kWorkerRamVariable), threads = NumberOf(headrace::kWorkerThreadsVariable);
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) == 0) {
    pthread_attr_setstacksize(&attributes, headrace::kStackBytes);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
  }
  const auto own = headrace::ReadProcessMemory(headrace::ReadTextFile);
  const uint64_t held = own ? own->anonymous_bytes + own->file_bytes : 0;
  auto* const worker = new Worker;
  // A client's process copies what it changes of this one's memory.
  worker->beside_bytes = headrace::BesideBytes(threads) + (own ? own->anonymous_bytes : 0);
  if (ram <= held + worker->beside_bytes) {
    End(headrace::kWorkerNoMemory,
        fmt::format("--ram {} leaves nothing for weights: a worker needs {} for itself; give more", FormatSize(ram),
                    FormatSize(held + worker->beside_bytes)));
  }
  worker->memory = ClientMemory::Make(ram - held);
  if (worker->memory == nullptr) End(headrace::kWorkerNoMemory, "the system has no memory");
  g_worker = worker;
  errno = 0;
  const char* cache = std::getenv(headrace::kWorkerCacheVariable);
  if (cache != nullptr) {
    worker->cache.emplace(cache, NumberOf(headrace::kWorkerCacheBytesVariable));
    worker->cache->MakeRoom(0, headrace::WeightCache::Time::clock::now() - std::chrono::minutes(1));
  }
  start(endpoint, cache, threads, 1, &processor);
  End(headrace::kWorkerNoAddress, g_worker->listens
                                      ? "the engine's server has ended"
                                      : fmt::format("cannot listen on {}: {}", endpoint, std::strerror(errno)));
}

void Reap() {
  int status = 0;
  for (pid_t ended = 0; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto found = g_worker->clients.find(ended);
    if (found == g_worker->clients.end()) continue;
    const uint64_t bytes = g_worker->memory->Close(found->second.account);
    if (WIFSIGNALED(status)) {
      headrace::SayError(fmt::format("worker: what {} sent ended its connection ({})", found->second.address,
                                     strsignal(WTERMSIG(status))));
    } else if (bytes > g_worker->beside_bytes || WEXITSTATUS(status) == 1) {
      headrace::Say(fmt::format("worker: {} has gone; {} are free", found->second.address,
                                FormatSize(g_worker->memory->free_bytes())));
    }
    g_worker->clients.erase(found);
  }
}

// For one that has come; -1: there is none. Who has just gone has its memory until its process has ended.
int OpenAccount() {
  constexpr int kTimes = 50, kWaitMs = 20;
  int account = g_worker->memory->Open(g_worker->beside_bytes);
  for (int i = 0; i < kTimes && account < 0; ++i) {
    poll(nullptr, 0, kWaitMs);
    Reap();
    account = g_worker->memory->Open(g_worker->beside_bytes);
  }
  return account;
}

// In the client's process.
void BecomeClient(int listener, int connection, int account, std::string address) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  g_worker->clients.clear();
  g_worker->account = account;
  g_worker->connection = connection;
  g_worker->address = std::move(address);
  dup2(connection, listener);  // nothing else may come there
  const auto own = headrace::ReadProcessMemory(headrace::ReadTextFile);
  g_worker->private_bytes = own ? own->private_bytes : 0;
  LimitProcess();
  static headrace::LargeBlocks blocks(*g_worker->memory, account);
  headrace::CountLargeBlocks(blocks, LimitProcess, RefuseBlock);
  if (g_worker->cache) headrace::WatchCache(*g_worker->cache, blocks);
}

}  // namespace

extern "C" {

HEADRACE_SEAM void ggml_backend_load_all(void) {
  HEADRACE_REAL(ggml_backend_load_all);
  const char* endpoint = std::getenv(headrace::kWorkerListenVariable);
  if (endpoint == nullptr) return real();
  ggml_log_set(Log, nullptr);
  real();
  Serve(endpoint);
}

HEADRACE_SEAM void ggml_backend_dev_memory(ggml_backend_dev_t device, size_t* free, size_t* total) {
  HEADRACE_REAL(ggml_backend_dev_memory);
  if (g_worker == nullptr) return real(device, free, total);
  *total = g_worker->memory->all_bytes() - g_worker->beside_bytes;
  *free = std::min<uint64_t>(*total, g_worker->memory->free_bytes());
}

HEADRACE_SEAM ggml_backend_buffer_t ggml_backend_buft_alloc_buffer(ggml_backend_buffer_type_t type, size_t size) {
  HEADRACE_REAL(ggml_backend_buft_alloc_buffer);
  return Allocate(size, [&] { return real(type, size); });
}

HEADRACE_SEAM ggml_backend_buffer_t ggml_backend_alloc_buffer(ggml_backend_t backend, size_t size) {
  HEADRACE_REAL(ggml_backend_alloc_buffer);
  return Allocate(size, [&] { return real(backend, size); });
}

HEADRACE_SEAM void ggml_backend_buffer_free(ggml_backend_buffer_t buffer) {
  HEADRACE_REAL(ggml_backend_buffer_free);
  uint64_t bytes = 0;
  if (g_worker != nullptr) {
    const std::lock_guard lock(g_worker->mutex);
    if (const auto found = g_worker->buffers.find(buffer); found != g_worker->buffers.end()) {
      bytes = found->second;
      g_worker->buffers.erase(found);
    }
  }
  real(buffer);
  if (bytes == 0) return;
  g_worker->memory->GiveBack(g_worker->account, bytes);
  LimitProcess();
}

HEADRACE_SEAM int listen(int descriptor, int backlog) {
  HEADRACE_REAL(listen);
  const int result = real(descriptor, std::max(backlog, 16));
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (result == 0 && g_worker != nullptr && !std::exchange(g_worker->listens, true) &&
      getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    const std::string text = AddressText(address);
    headrace::Say(fmt::format("worker: listens on {}; {} for weights of clients", text,
                              FormatSize(g_worker->memory->all_bytes() - g_worker->beside_bytes)));
    const std::string line = headrace::kWorkerListensLine + text + "\n";
    [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, line.data(), line.size());
  }
  return result;
}

HEADRACE_SEAM int accept(int descriptor, sockaddr* address, socklen_t* size) {
  HEADRACE_REAL(accept);
  if (g_worker == nullptr || g_worker->account >= 0) return real(descriptor, address, size);
  while (true) {
    pollfd ready{descriptor, POLLIN, 0};
    const int count = poll(&ready, 1, kReapMs);
    Reap();
    if (count <= 0) continue;
    sockaddr_in peer{};
    socklen_t peer_size = sizeof peer;
    const int connection = real(descriptor, reinterpret_cast<sockaddr*>(&peer), &peer_size);
    if (connection < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return connection;
    }
    headrace::ProbeWhenSilent(connection, kSilentSeconds, kProbes);
    const std::string client = AddressText(peer);
    const int account = OpenAccount();
    const pid_t process = account < 0 ? -1 : fork();
    if (process == 0) {
      BecomeClient(descriptor, connection, account, client);
      return connection;
    }
    if (process > 0) {
      g_worker->clients[process] = {account, client};
    } else {
      if (account >= 0) g_worker->memory->Close(account);
      headrace::SayError(fmt::format("worker: refused {}: there is no memory for another client", client));
    }
    close(connection);
  }
}

HEADRACE_SEAM int close(int descriptor) {
  HEADRACE_REAL(close);
  // A client's process ends with its connection. 1: it had memory.
  if (g_worker != nullptr && g_worker->account >= 0 && descriptor == g_worker->connection)
    _exit(g_worker->introduced ? 1 : 0);
  return real(descriptor);
}

}  // extern "C"
