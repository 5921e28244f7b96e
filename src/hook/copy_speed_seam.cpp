// For `headrace doctor` and `--workers`, which have a program of the engine list its devices with HEADRACE_COPY_SPEED
// set: when the program asks for a device's memory, copies to it are timed, and a line says how fast they were. In
// every other process the engine's function is called, and nothing else.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/copy_speed.h"
#include "base/size.h"
#include "ggml-backend.h"
#include "ggml.h"
#include "hook/engine_symbols.h"

#define HEADRACE_SEAM __attribute__((visibility("default")))

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostBytes = 64 * headrace::kMiB;
// To a worker: what is sent in larger pieces the engine's server keeps, and need not be sent the second time.
constexpr size_t kMostRemoteBytes = 8 * headrace::kMiB;
constexpr size_t kFewestBytes = headrace::kMiB;
// Shorter copies are made longer: starting one takes its time, too.
constexpr double kLongEnough = 0.02;
constexpr double kSeconds = 0.3;

// The functions of the engine that a measurement needs.
struct Engine {
// clang-format off
#define HEADRACE_FUNCTIONS(X) \
  X(ggml_init) X(ggml_free) X(ggml_tensor_overhead) X(ggml_new_tensor_1d) X(ggml_backend_dev_name) \
  X(ggml_backend_dev_buffer_type) X(ggml_backend_dev_host_buffer_type) X(ggml_backend_buft_is_host) \
  X(ggml_backend_buft_alloc_buffer) X(ggml_backend_buffer_free) X(ggml_backend_buffer_get_base) \
  X(ggml_backend_tensor_alloc) X(ggml_backend_tensor_set) X(ggml_backend_tensor_get)
  // clang-format on
#define HEADRACE_POINTER(name) decltype(&::name) name = nullptr;
  HEADRACE_FUNCTIONS(HEADRACE_POINTER)
#undef HEADRACE_POINTER

  // False: it has not all of them.
  bool Find(void* caller) {
    bool all = true;
#define HEADRACE_FIND(name) all = (name = headrace::Behind<decltype(::name)>(#name, caller)) != nullptr && all;
    HEADRACE_FUNCTIONS(HEADRACE_FIND)
#undef HEADRACE_FIND
    return all;
  }
};

// The fastest counts: what else the machine does at the moment only slows it.
double Measure(const Engine& engine, ggml_tensor* to, const char* from, size_t most_bytes, bool remote) {
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const auto begin = Clock::now();
  double best = 0;
  for (size_t bytes = kFewestBytes; since(begin) < kSeconds;) {
    const auto start = Clock::now();
    engine.ggml_backend_tensor_set(to, from, 0, bytes);
    // What was sent may still be on its way; an answer comes after it.
    if (char last = 0; remote) engine.ggml_backend_tensor_get(to, &last, bytes - 1, 1);
    const double seconds = since(start);
    if (seconds > 0) best = std::max(best, static_cast<double>(bytes) / seconds);
    if (seconds < kLongEnough) bytes = std::min(2 * bytes, most_bytes);
  }
  return best;
}

void MeasureCopies(const Engine& engine, ggml_backend_dev_t device) {
  const ggml_backend_buffer_type_t type = engine.ggml_backend_dev_buffer_type(device);
  if (type == nullptr || engine.ggml_backend_buft_is_host(type)) return;  // it computes on the processor
  headrace::CopySpeed speed;
  speed.device = engine.ggml_backend_dev_name(device);
  const bool remote = speed.device.starts_with("RPC");
  const size_t most_bytes = remote ? kMostRemoteBytes : kMostBytes;
  const auto free_buffer = [&](ggml_backend_buffer_t buffer) { engine.ggml_backend_buffer_free(buffer); };
  using Buffer = std::unique_ptr<ggml_backend_buffer, decltype(free_buffer)>;
  const Buffer there(engine.ggml_backend_buft_alloc_buffer(type, most_bytes + headrace::kMiB), free_buffer);
  if (there == nullptr) return;
  const auto free_context = [&](ggml_context* context) { engine.ggml_free(context); };
  const std::unique_ptr<ggml_context, decltype(free_context)> context(
      engine.ggml_init({engine.ggml_tensor_overhead(), nullptr, true}), free_context);
  ggml_tensor* tensor =
      context == nullptr ? nullptr : engine.ggml_new_tensor_1d(context.get(), GGML_TYPE_I8, most_bytes);
  if (tensor == nullptr ||
      engine.ggml_backend_tensor_alloc(there.get(), tensor, engine.ggml_backend_buffer_get_base(there.get())) !=
          GGML_STATUS_SUCCESS)
    return;
  // Memory that is touched for the first time would be measured otherwise.
  const std::vector<char> ordinary(most_bytes, 1);
  speed.bytes_per_s = Measure(engine, tensor, ordinary.data(), most_bytes, remote);
  const ggml_backend_buffer_type_t host = engine.ggml_backend_dev_host_buffer_type(device);
  const Buffer staging(host == nullptr ? nullptr : engine.ggml_backend_buft_alloc_buffer(host, most_bytes),
                       free_buffer);
  if (staging != nullptr) {
    auto* from = static_cast<char*>(engine.ggml_backend_buffer_get_base(staging.get()));
    std::memset(from, 1, most_bytes);
    speed.staged_bytes_per_s = Measure(engine, tensor, from, most_bytes, remote);
  }
  std::fputs(headrace::CopySpeedLine(speed).c_str(), stdout);
}

}  // namespace

extern "C" {

HEADRACE_SEAM void ggml_backend_dev_memory(ggml_backend_dev_t device, size_t* free, size_t* total) {
  const auto real = HEADRACE_BEHIND(ggml_backend_dev_memory);
  if (real == nullptr) {
    *free = *total = 0;
    return;
  }
  real(device, free, total);
  if (std::getenv(headrace::kCopySpeedVariable) == nullptr) return;
  try {
    if (Engine engine; engine.Find(__builtin_return_address(0))) MeasureCopies(engine, device);
  } catch (const std::exception&) {
    // No memory for it: it is not measured.
  }
}

}  // extern "C"
