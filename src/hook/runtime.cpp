#include "hook/runtime.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <mutex>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "base/log.h"
#include "base/size.h"
#include "hook/engine_symbols.h"
#include "memory/available.h"
#include "memory/region.h"
#include "stream/gathered_pieces.h"
#include "telemetry/snapshot_files.h"

namespace headrace {
namespace {

thread_local bool t_loading_streams = false;

uint64_t AutomaticLimitNow() {
  const auto own = ReadProcessMemory(ReadTextFile);
  return AutomaticLimit(FindAvailableMemory(ReadTextFile, ReadAddressLimits()), own);
}

std::unique_ptr<WeightsAllowance> MakeAllowance(const Config& config) {
  WeightsAllowance::Limits limits;
  limits.automatic = config.process_bytes == Config::kAutomatic;
  if (config.process_bytes > 0 && !limits.automatic) limits.process_bytes = config.process_bytes;
  if (config.weights_bytes > 0) limits.weights_bytes = config.weights_bytes;
  limits.foretold_rest_bytes = config.rest_bytes;
  return std::make_unique<WeightsAllowance>(limits, ReadAddressLimits(), ReadTextFile);
}

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

std::atomic<bool> Runtime::has_mappings_{false};

Runtime& Runtime::Get() {
  static Runtime* const runtime = new Runtime;
  return *runtime;
}

Runtime::Runtime() {
  auto config = ParseConfig([](const char* name) -> const char* { return std::getenv(name); });
  if (!config.ok()) {
    Note(config.status());
    return;
  }
  Use(*config);
  if (!config_.snapshot_path.empty()) {
    if (const Status mapped = snapshot_.MapFile(config_.snapshot_path); !mapped.ok()) Note(mapped);
  }
  // A forked child has neither the reading thread nor the resident memory: there the mapping alone serves.
  ::pthread_atfork(nullptr, nullptr, [] {
    Runtime& runtime = Get();
    runtime.enabled_ = false;
    runtime.any_streams_ = false;
    runtime.keeps_kv_ = false;
    runtime.kv_in_use_ = nullptr;
    has_mappings_ = false;
    runtime.own_snapshot_ = false;
    runtime.snapshot_.LeaveToParent();
  });
  // For a host that ends without unloading its models.
  std::atexit([] { Get().Leave(); });
}

void Runtime::Leave() noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock.owns_lock() && any_streams_ && executor_ != nullptr) executor_->Leave();
  if (own_snapshot_) ::unlink(snapshot_.path().c_str());
}

// Makes the statistics visible to `headrace top` where nobody said which file they are to go to.
void Runtime::Publish() {
  if (snapshot_.mapped() || !config_.snapshot_path.empty()) return;
  const auto path = CreateSnapshotFile();
  const Status mapped = path.ok() ? snapshot_.MapFile(*path) : path.status();
  own_snapshot_ = mapped.ok();
  if (mapped.ok()) return;
  if (path.ok()) ::unlink(path->c_str());
  LogDebug(mapped.message());
}

Status Runtime::Configure(const Config& config) {
  const std::lock_guard making(making_mutex_);
  const std::lock_guard lock(mutex_);
  if (model_seen_)
    return Status(Code::kInvalidArgument, "headrace must be configured before the first model is loaded");
  Use(config);
  return {};
}

void Runtime::Use(const Config& config) {
  config_ = config;
  SetLogLevel(config.debug ? LogLevel::kDebug : LogLevel::kWarning);
  enabled_ = config.flash_mode != FlashMode::kOff;
  keeps_kv_ = !config.kv_dir.empty();
}

void Runtime::SetWeightsLimit(uint64_t bytes) {
  std::shared_ptr<Executor> executor;
  {
    const std::lock_guard lock(mutex_);
    config_.weights_bytes = bytes;
    if (allowance_ != nullptr) allowance_->SetWeightsLimit(bytes);
    executor = executor_;
  }
  if (executor != nullptr) executor->FollowAllowance();
}

Config Runtime::ConfigNow() const {
  const std::lock_guard lock(mutex_);
  return config_;
}

void Runtime::Note(const Status& status) {
  LogWarning(status.message());
  SetLastError(*snapshot_, status.message());
}

// Null: the caller is no llama.cpp, or one that does not fit.
std::shared_ptr<const GgmlApi> Runtime::FindEngine(void* caller) {
  auto engine = engines_.Find(caller, config_);
  if (engine.ok()) return *engine;
  Note(Status(engine.status().code(),
              fmt::format("flash weight streaming stays off, this llama.cpp does not fit: {}; "
                          "install the one that headrace was built for with `headrace engine install`",
                          engine.status().message())));
  return nullptr;
}

// The executor works for one engine at a time, as long as that has a model that streams. Returns an executor that is
// not needed any more: whoever computes with it at present is the last to hold it.
std::shared_ptr<Executor> Runtime::ChooseStreamingEngine() {
  const auto models = models_.mappings().models();
  std::erase_if(streaming_, [&](const auto& mapped) { return !models.contains(mapped.first); });
  if (std::any_of(streaming_.begin(), streaming_.end(),
                  [this](const auto& mapped) { return mapped.second == streaming_engine_; }))
    return nullptr;
  streaming_engine_ = streaming_.empty() ? nullptr : streaming_.begin()->second;
  return std::move(executor_);
}

WeightsAllowance& Runtime::Allowance() {
  if (allowance_ == nullptr) {
    const Config config = ConfigNow();
    auto allowance = MakeAllowance(config);
    Region::LockFromNowOn(config.lock);
    const std::lock_guard lock(mutex_);
    if (config_.weights_bytes != config.weights_bytes)
      allowance->SetWeightsLimit(config_.weights_bytes);  // set meanwhile
    allowance_ = std::move(allowance);
    model_seen_ = true;
  }
  return *allowance_;
}

ModelRegistry::Verdict Runtime::Judge(const FileVersion& file, const std::string& path,
                                      std::optional<uint64_t> weight_bytes, uint64_t room) {
  const auto verdict = models_.Judge(file, path, weight_bytes, {room, config_.flash_mode == FlashMode::kOn});
  LogDebug(fmt::format("{}: {} of weights, {} of memory for them ({}): {}", path, FormatSize(verdict.weight_bytes),
                       FormatSize(room), Allowance().Describe(), verdict.streams ? "streams" : "fits, nothing to do"));
  return verdict;
}

std::optional<uint64_t> Runtime::BeforeModelHeader(void* caller) noexcept {
  t_loading_streams = false;
  if (!enabled()) return std::nullopt;
  try {
    const std::lock_guard making(making_mutex_);
    if (FindEngine(caller) == nullptr) return std::nullopt;
    return Allowance().Bytes();
  } catch (const std::exception& error) {
    LogWarning(error.what());
    return std::nullopt;
  }
}

void Runtime::OnModelHeader(const FileVersion& file, const std::string& path, std::optional<uint64_t> weight_bytes,
                            uint64_t room) noexcept {
  try {
    const std::lock_guard making(making_mutex_);
    t_loading_streams = Judge(file, path, weight_bytes, room).streams;
    if (!t_loading_streams || any_streams()) return;
    const std::lock_guard lock(mutex_);
    awaits_mapping_ = true;
    unmapped_path_ = path;
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

void Runtime::NoteUnmapped() noexcept {
  try {
    std::string message;
    bool fatal = false, said = false;
    {
      const std::lock_guard lock(mutex_);
      if (!awaits_mapping_.exchange(false)) return;
      message = fmt::format(
          "{} was read into memory instead of mapped (use_mmap off, --no-mmap, or a --load-mode other than mmap), so "
          "none of its weights stream; leave that option out",
          unmapped_path_);
      fatal = config_.flash_mode == FlashMode::kOn;
      said = fatal && !config_.snapshot_path.empty();
    }
    // Whoever started this process reads it there and says it.
    if (fatal) SetLastError(*snapshot_, message);
    if (!said) LogWarning(message);
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

bool Runtime::loading_streams() const { return enabled() && t_loading_streams; }

std::shared_ptr<const GgmlApi> Runtime::StreamingEngineOf(int fd, void* caller) noexcept {
  try {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return nullptr;
    const std::lock_guard making(making_mutex_);
    const FileVersion file = FileVersion::Of(info);
    const auto known = models_.Find(file);
    if (known && !known->streams) return nullptr;
    auto engine = FindEngine(caller);
    if (engine == nullptr || known) return engine;
    return Judge(file, PathOfDescriptor(fd), std::nullopt, Allowance().Bytes()).streams ? engine : nullptr;
  } catch (const std::exception& error) {
    LogWarning(error.what());
    return nullptr;
  }
}

// Tells others how many models stream, and the allowance what those that fit take.
void Runtime::CountModels() {
  const auto passive = models_.passive();
  if (allowance_ != nullptr) allowance_->SetPassive(passive.weight_bytes, passive.mapped_bytes);
  const size_t streaming = models_.streaming();
  snapshot_->models = static_cast<uint32_t>(streaming);
  any_streams_ = streaming > 0;
  has_mappings_ = !models_.empty();
}

void Runtime::OnMapped(const void* address, uint64_t bytes, int fd, uint64_t offset,
                       const std::shared_ptr<const GgmlApi>& engine) noexcept {
  try {
    const auto access = ConfigNow().reader == "buffered" ? SourceFile::Access::kBuffered : SourceFile::Access::kDirect;
    const auto file = models_.Mapped(address, bytes, fd, offset, access, ConfigNow().mirrors);
    const bool streams = file.ok() && *file != nullptr;
    if (!file.ok()) {
      Note(Status(file.status().code(),
                  file.status().message() + "; the kernel reads the model in its place, which is slower"));
    } else if (streams) {
      if (!(*file)->direct() && access == SourceFile::Access::kDirect) {
        LogWarning(fmt::format("{}: this file system has no O_DIRECT; reading through the page cache, which is slower",
                               (*file)->path()));
      }
      const std::lock_guard making(making_mutex_);
      Publish();
    }
    bool by_executor = false;
    std::shared_ptr<Executor> unused;
    {
      const std::lock_guard lock(mutex_);
      if (!file.ok() || streams) awaits_mapping_ = false;
      if (streams && engine != nullptr) {
        if (const auto origin = models_.mappings().Find(address, 1)) streaming_.emplace(origin->model, engine);
        unused = ChooseStreamingEngine();
        by_executor = streaming_engine_ == engine;
      }
      CountModels();
    }
    if (by_executor) {
      models_.mappings().TakeFromKernel(address, bytes);
    } else if (streams) {
      LogWarning(fmt::format(
          "another llama.cpp in this process streams already: {} is read through its mapping, which is slower",
          (*file)->path()));
    }
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

void Runtime::OnTensor(const ggml_tensor& tensor) noexcept {
  try {
    if (tensor.ne[2] > 1 && tensor.ne[3] == 1 && models_.mappings().Find(tensor.data, tensor.nb[3]))
      stacks_.Add(tensor);
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

void Runtime::OnUnmap(const void* address, uint64_t bytes) noexcept {
  try {
    if (!models_.Overlaps(address, bytes)) return;
    const bool streamed = models_.Unmapped(address, bytes);
    stacks_.Remove(address, bytes);
    std::shared_ptr<Executor> executor;
    {
      const std::lock_guard lock(mutex_);
      CountModels();
      executor = ChooseStreamingEngine();
      if (executor == nullptr) executor = executor_;
    }
    if (streamed && executor != nullptr) executor->Forget(address, bytes);
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

bool Runtime::Streams(const void* address, uint64_t bytes) const {
  return any_streams() && models_.mappings().Streams(address, bytes);
}

ggml_backend_buffer_t Runtime::AllocateTensors(ggml_context* context, ggml_backend_buffer_type_t type,
                                               AllocateFunction allocate, void* caller) noexcept {
  if (!keeps_kv_) return allocate(context, type);
  try {
    std::shared_ptr<const GgmlApi> engine;
    {
      const std::lock_guard making(making_mutex_);
      engine = FindEngine(caller);
      if (engine != nullptr && engine->no_kv_files.empty() && kv_store_ == nullptr) {
        WeightsAllowance& allowance = Allowance();
        const uint64_t limit = allowance.process_limit() > 0 ? allowance.process_limit() : AutomaticLimitNow();
        kv_store_ = std::make_unique<KvStore>(ConfigNow(), ConfigNow().KvRam(limit), allowance, snapshot_);
      }
    }
    if (engine == nullptr || !engine->no_kv_files.empty() || !kv_store_->IsKvCache(*engine, context, type))
      return allocate(context, type);
    kv_in_use_ = kv_store_.get();
    const auto in_file = kv_store_->Allocate(*engine, context);
    if (!in_file.ok()) {
      Note(in_file.status());
      return nullptr;
    }
    if (*in_file != nullptr) return *in_file;
    const ggml_backend_buffer_t buffer = allocate(context, type);
    if (buffer != nullptr) kv_store_->Keep(*engine, buffer);
    return buffer;
  } catch (const std::exception& error) {
    LogWarning(error.what());
    return nullptr;
  }
}

void Runtime::BeforeAllocation(ggml_backend_sched_t sched, ggml_cgraph* graph,
                               Executor::ComputeFunction compute) noexcept {
  try {
    const auto engine = engines_.With(compute);
    const auto executor = engine == nullptr ? nullptr : ExecutorFor(engine);
    if (executor != nullptr) executor->BeforeAllocation(sched, graph);
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

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
      if (damaged_.contains(to.buffer)) return true;  // nobody computes with it
    }
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
    if (!status.ok() && to.buffer != nullptr && !executor->ComputesHere()) {
      const std::lock_guard lock(mutex_);
      damaged_.emplace(to.buffer, status.message());
      any_damaged_ = true;
    }
    return true;
  } catch (const std::exception& error) {
    LogWarning(error.what());
    return false;
  }
}

bool Runtime::Damaged(ggml_cgraph* graph, Executor::ComputeFunction compute) noexcept {
  try {
    const auto engine = engines_.With(compute);
    if (engine == nullptr) return false;
    const std::lock_guard lock(mutex_);
    const int nodes = engine->graph_n_nodes(graph);
    for (int i = 0; i < nodes; ++i) {
      for (const ggml_tensor* source : engine->graph_node(graph, i)->src) {
        const auto damaged = source == nullptr ? damaged_.end() : damaged_.find(source->buffer);
        if (damaged == damaged_.end()) continue;
        Note(Status(Code::kIo, "weights are missing on a device: " + damaged->second + "; load the model again"));
        return true;
      }
    }
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
  return false;
}

void Runtime::ForgetBuffer(ggml_backend_buffer_t buffer) {
  const std::lock_guard lock(mutex_);
  damaged_.erase(buffer);
  any_damaged_ = !damaged_.empty();
}

Runtime::CopyCallback* Runtime::KeepCopyCallback(ggml_backend_sched_t sched, CopyCallback callback) {
  const std::lock_guard lock(mutex_);
  auto& kept = copy_callbacks_[sched];
  if (kept == nullptr) kept = std::make_unique<CopyCallback>();
  *kept = callback;
  return kept.get();
}

bool Runtime::KeepsCopyCallback(ggml_backend_sched_t sched) const {
  const std::lock_guard lock(mutex_);
  return copy_callbacks_.contains(sched);
}

void Runtime::SetHostCallback(ggml_backend_sched_t sched, HostCallback callback) {
  const std::lock_guard lock(mutex_);
  host_callbacks_[sched] = callback;
}

void Runtime::ForgetScheduler(ggml_backend_sched_t sched) {
  const std::lock_guard lock(mutex_);
  host_callbacks_.erase(sched);
  copy_callbacks_.erase(sched);
  if (executor_ != nullptr) executor_->ForgetScheduler(sched);
}

ggml_status Runtime::Compute(ggml_backend_sched_t sched, ggml_cgraph* graph,
                             Executor::ComputeFunction compute) noexcept {
  HostCallback host;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = host_callbacks_.find(sched); it != host_callbacks_.end()) host = it->second;
  }
  const auto engine = engines_.With(compute);
  if (engine == nullptr) return compute(sched, graph);
  if (KvStore* const store = kv_store()) {
    return store->Compute(*engine, sched, graph, host, [&](const HostCallback& callback) {
      return ComputeWeights(engine, sched, graph, compute, callback);
    });
  }
  return ComputeWeights(engine, sched, graph, compute, host);
}

// Null when another engine streams.
std::shared_ptr<Executor> Runtime::ExecutorFor(const std::shared_ptr<const GgmlApi>& engine) {
  const auto in_use = [&]() -> std::optional<std::shared_ptr<Executor>> {
    const std::lock_guard lock(mutex_);
    if (streaming_engine_ != engine) return nullptr;
    return executor_ != nullptr ? std::optional(executor_) : std::nullopt;
  };
  if (auto executor = in_use()) return *executor;
  const std::lock_guard making(making_mutex_);
  if (auto executor = in_use()) return *executor;
  // It holds the engine's adapter: a thread may still compute with it when another engine has its place.
  std::shared_ptr<Executor> executor(
      new Executor(*engine, ConfigNow(), *allowance_, models_.mappings(), stacks_, snapshot_),
      [engine](Executor* gone) { delete gone; });
  const std::lock_guard lock(mutex_);
  return executor_ = executor;
}

ggml_status Runtime::ComputeWeights(const std::shared_ptr<const GgmlApi>& engine, ggml_backend_sched_t sched,
                                    ggml_cgraph* graph, Executor::ComputeFunction compute, const HostCallback& host) {
  if (!any_streams()) return compute(sched, graph);
  std::shared_ptr<Executor> executor;
  try {
    executor = ExecutorFor(engine);
    if (executor == nullptr) return compute(sched, graph);
  } catch (const std::exception& error) {
    LogWarning(error.what());
    return GGML_STATUS_FAILED;
  }
  return executor->Compute(sched, graph, compute, host);
}

}  // namespace headrace
