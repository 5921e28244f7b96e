// Weights of models that stream on their way to devices.
#include <exception>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/log.h"
#include "base/size.h"
#include "hook/runtime.h"
#include "stream/gathered_pieces.h"

namespace headrace {
namespace {

// Of several threads at a time: the Vulkan backend copies into mapped memory, and locks where it cannot. Other backends
// are not known to allow it.
bool TakesFromThreads(const GgmlApi& engine, ggml_backend_buffer_t buffer) {
  return engine.backend_buffer_name != nullptr && buffer != nullptr &&
         std::string_view(engine.backend_buffer_name(buffer)).starts_with("Vulkan");
}

// A worker's server keeps on disk what comes in more than 10 MiB at a time, so that the next load need not send it.
constexpr uint64_t kWorkerPieceBytes = 24 * kMiB;

bool IsOfWorker(const GgmlApi& engine, ggml_backend_buffer_t buffer) {
  return engine.backend_buffer_name != nullptr && buffer != nullptr &&
         std::string_view(engine.backend_buffer_name(buffer)).starts_with("RPC");
}

}  // namespace

void Runtime::BeforeUpload(const void* data) noexcept {
  std::shared_ptr<Executor> executor;
  {
    const std::lock_guard lock(mutex_);
    executor = executor_;
  }
  if (executor != nullptr) executor->BeforeUpload(data);
}

bool Runtime::UploadWhole(ggml_backend_t backend, const ggml_tensor& from, ggml_tensor& to) noexcept {
  std::shared_ptr<const GgmlApi> engine;
  {
    const std::lock_guard lock(mutex_);
    engine = streaming_engine_;
  }
  const uint64_t bytes = engine == nullptr ? 0 : engine->nbytes(&from);
  return bytes > kReadAlignment && Upload(backend, to, from.data, 0, bytes);
}

bool Runtime::Upload(ggml_backend_t backend, ggml_tensor& to, const void* data, uint64_t offset,
                     uint64_t bytes) noexcept {
  try {
    const auto origin = models_.mappings().Find(data, bytes);
    if (!origin) return false;
    std::shared_ptr<const GgmlApi> engine;
    {
      const std::lock_guard lock(mutex_);
      engine = streaming_engine_;
      if (engine == nullptr || !streaming_.contains({origin->model, engine})) return false;
    }
    if (damaged_.Contains(to.buffer)) return true;  // nobody computes with it
    if (engine->backend_tensor_set == nullptr || engine->backend_synchronize == nullptr) return false;
    const auto executor = ExecutorFor(engine);
    if (executor == nullptr || !executor->WantsUpload(data, bytes)) return false;
    std::once_flag waited;
    const auto take = [&](const uint8_t* piece, uint64_t at, uint64_t count) {
      if (backend != nullptr) std::call_once(waited, [&] { engine->backend_synchronize(backend); });
      engine->backend_tensor_set(&to, piece, offset + at, count);
    };
    std::optional<GatheredPieces> pieces;
    RangeCopy::Take hand_on = take;
    if (IsOfWorker(*engine, to.buffer)) {
      pieces.emplace(bytes, kWorkerPieceBytes, take);
      hand_on = [&](const uint8_t* piece, uint64_t, uint64_t count) { pieces->Add(piece, count); };
    }
    const Status status = executor->Upload(data, bytes, *origin, hand_on, TakesFromThreads(*engine, to.buffer));
    if (!status.ok() && to.buffer != nullptr && !executor->ComputesHere()) damaged_.Add(to.buffer, status.message());
    return true;
  } catch (const std::exception& error) {
    LogWarning(error.what());
    return false;
  }
}

bool Runtime::Damaged(ggml_cgraph* graph, Executor::ComputeFunction compute) noexcept {
  try {
    const auto engine = engines_.With(compute);
    const auto why = engine == nullptr ? std::nullopt : damaged_.UsedBy(*engine, graph);
    if (!why) return false;
    Note(Status(Code::kIo, "weights are missing on a device: " + *why + "; load the model again"));
    return true;
  } catch (const std::exception& error) {
    LogWarning(error.what());
    return false;
  }
}

}  // namespace headrace
