#include "hook/runtime.h"

#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>

#include <fmt/format.h>

#include "base/log.h"
#include "base/size.h"
#include "gguf/catalogue.h"
#include "gguf/file_header.h"
#include "hook/engine_symbols.h"
#include "memory/available.h"
#include "memory/region.h"
#include "telemetry/snapshot_files.h"

namespace headrace {
namespace {

thread_local bool t_loading_streams = false;

FileIdentity IdentityOf(const struct stat& info) { return {info.st_dev, info.st_ino}; }

std::string PathOf(int fd) {
  char path[PATH_MAX];
  const ssize_t length = ::readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), path, sizeof path);
  return length > 0 ? std::string(path, static_cast<size_t>(length)) : std::string();
}

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

// A part of a split model that lies under another name, as in a download cache, is judged by itself.
Result<Catalogue> CatalogueOfOnePart(const std::string& path) {
  auto header = ReadFileHeader(path);
  if (!header.ok()) return header.status();
  Catalogue catalogue;
  catalogue.files.push_back({path, header->file_bytes});
  catalogue.tensors = std::move(header->tensors);
  return catalogue;
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
  if (!mapped.ok()) LogDebug(mapped.message());
}

Status Runtime::Configure(const Config& config) {
  const std::lock_guard lock(mutex_);
  if (model_seen_) return Status(Code::kInvalidArgument, "headrace must be configured before the first model is loaded");
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

void Runtime::Note(const Status& status) {
  LogWarning(status.message());
  SetLastError(*snapshot_, status.message());
}

// Null: the caller is no llama.cpp, or one that does not fit.
std::shared_ptr<const GgmlApi> Runtime::FindEngine(void* caller) {
  auto engine = engines_.Find(caller, config_);
  if (engine.ok()) return *engine;
  Note(Status(engine.status().code(), fmt::format("flash weight streaming stays off, this llama.cpp does not fit: {}; "
                                                  "install the one that headrace was built for with `headrace engine install`",
                                                  engine.status().message())));
  return nullptr;
}

// The executor works for one engine at a time, as long as that has a model that streams.
void Runtime::ChooseStreamingEngine() {
  const Model* first = nullptr;
  for (const Model& model : models_) {
    if (!mappings_.HasModel(model.number)) continue;
    if (model.engine == streaming_engine_) return;
    if (first == nullptr) first = &model;
  }
  executor_.reset();
  streaming_engine_ = first == nullptr ? nullptr : first->engine;
}

Runtime::Model* Runtime::FindModel(FileIdentity file, const GgmlApi* engine) {
  for (Model& model : models_) {
    const bool same = std::find(model.files.begin(), model.files.end(), file) != model.files.end();
    if (same && model.engine.get() == engine) return &model;
  }
  return nullptr;
}

// Tells the allowance what models that fit take.
void Runtime::CountPassive() {
  uint64_t bytes = 0;
  for (const Model& model : models_) {
    if (!model.streams && model.mapped_ranges > 0) bytes += model.weight_bytes;
  }
  if (allowance_ != nullptr) allowance_->SetPassive(bytes, passive_mappings_.bytes());
}

// Decides about a model that is about to be loaded; null when its file cannot be read, which the engine
// will then say itself.
Runtime::Model* Runtime::Judge(const std::string& path, std::shared_ptr<const GgmlApi> engine) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return nullptr;
  Model* model = FindModel(IdentityOf(info), engine.get());
  if (model != nullptr && model->mapped_ranges > 0) return model;
  if (model == nullptr) {
    auto catalogue = ReadCatalogue(path);
    if (!catalogue.ok()) catalogue = CatalogueOfOnePart(path);
    if (!catalogue.ok()) {
      LogDebug(catalogue.status().message());
      return nullptr;
    }
    model = &models_.emplace_back();
    model->number = next_model_++;
    model->weight_bytes = catalogue->weight_bytes();
    for (const CatalogueFile& file : catalogue->files) {
      if (::stat(file.path.c_str(), &info) == 0) model->files.push_back(IdentityOf(info));
    }
  }
  model->engine = std::move(engine);
  if (allowance_ == nullptr) {
    allowance_ = MakeAllowance(config_);
    Region::LockFromNowOn(config_.lock);
  }
  model_seen_ = true;
  const uint64_t left = allowance_->Bytes();
  // Beside a model that streams, every other one is managed too: the planner keeps small ones resident.
  model->streams = config_.flash_mode == FlashMode::kOn || any_streams() || model->weight_bytes > left;
  LogDebug(fmt::format("{}: {} of weights, {} of memory for them ({}): {}", path, FormatSize(model->weight_bytes),
                       FormatSize(left), allowance_->Describe(), model->streams ? "streams" : "fits, nothing to do"));
  return model;
}

void Runtime::OnModelHeader(const std::string& path, void* caller) noexcept {
  t_loading_streams = false;
  if (!enabled()) return;
  try {
    const std::lock_guard lock(mutex_);
    auto engine = FindEngine(caller);
    if (engine == nullptr) return;
    const Model* model = Judge(path, std::move(engine));
    t_loading_streams = model != nullptr && model->streams;
    if (t_loading_streams && !any_streams()) {
      awaits_mapping_ = true;
      unmapped_path_ = path;
    }
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

void Runtime::NoteUnmapped() noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (!awaits_mapping_.exchange(false)) return;
    const std::string message = fmt::format("{} was read into memory instead of mapped (use_mmap off, --no-mmap, or a --load-mode other than mmap), so "
                                            "none of its weights stream; leave that option out", unmapped_path_);
    // Whoever started this process reads it there and says it.
    const bool fatal = config_.flash_mode == FlashMode::kOn;
    if (fatal) SetLastError(*snapshot_, message);
    if (!fatal || config_.snapshot_path.empty()) LogWarning(message);
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

bool Runtime::loading_streams() const { return enabled() && t_loading_streams; }

bool Runtime::StreamsFile(int fd, void* caller) noexcept {
  try {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return false;
    const std::lock_guard lock(mutex_);
    auto engine = FindEngine(caller);
    if (engine == nullptr) return false;
    const Model* model = FindModel(IdentityOf(info), engine.get());
    if (model == nullptr) model = Judge(PathOf(fd), std::move(engine));
    return model != nullptr && model->streams;
  } catch (const std::exception& error) {
    LogWarning(error.what());
    return false;
  }
}

void Runtime::OnMapped(const void* address, uint64_t bytes, int fd, uint64_t offset, void* caller) noexcept {
  try {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return;
    const std::lock_guard lock(mutex_);
    const auto engine = FindEngine(caller);
    Model* model = engine == nullptr ? nullptr : FindModel(IdentityOf(info), engine.get());
    if (model == nullptr) return;
    ++model->mapped_ranges;
    has_mappings_ = true;
    if (!model->streams) {
      passive_mappings_.Add(address, bytes, {nullptr, offset, model->number});
      CountPassive();
      return;
    }
    const auto access = config_.reader == "buffered" ? SourceFile::Access::kBuffered : SourceFile::Access::kDirect;
    auto file = SourceFile::Open(PathOf(fd), access);
    if (file.ok() && !(file->identity() == IdentityOf(info))) {
      file = Status(Code::kChanged, fmt::format("{} was replaced while it was loaded; load it again", file->path()));
    }
    if (!file.ok()) {
      // The mapping alone still gives the right bytes, only slower.
      Note(file.status());
      return;
    }
    if (!file->direct() && access == SourceFile::Access::kDirect) {
      LogWarning(fmt::format("{}: this file system has no O_DIRECT; reading through the page cache, which is slower", file->path()));
    }
    mappings_.Add(address, bytes, {std::make_shared<SourceFile>(std::move(*file)), offset, model->number});
    if (!any_streams()) Publish();
    any_streams_ = true;
    ChooseStreamingEngine();
    if (model->engine != streaming_engine_) {
      LogWarning(fmt::format("another llama.cpp in this process streams already: {} is read through its mapping, which is slower", PathOf(fd)));
    }
    awaits_mapping_ = false;
    snapshot_->models = snapshot_->models + 1;
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

void Runtime::OnUnmap(const void* address, uint64_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  for (MappingTable* table : {&mappings_, &passive_mappings_}) {
    const auto origin = table->Find(address, 1);
    if (!table->Overlaps(address, bytes)) continue;
    if (table == &mappings_ && executor_ != nullptr) executor_->Forget(address, bytes);
    table->Remove(address, bytes);
    if (!origin) continue;
    for (Model& model : models_) {
      if (model.number != origin->model || table->HasModel(model.number)) continue;
      model.mapped_ranges = 0;
      if (model.streams) snapshot_->models = snapshot_->models - 1;
    }
  }
  CountPassive();
  has_mappings_ = !mappings_.empty() || !passive_mappings_.empty();
  if (mappings_.empty() && any_streams_) {
    any_streams_ = false;
  }
  ChooseStreamingEngine();
}

bool Runtime::Streams(const void* address, uint64_t bytes) const {
  return any_streams() && mappings_.Overlaps(address, bytes);
}

void Runtime::MakeKvStore() {
  if (allowance_ == nullptr) allowance_ = MakeAllowance(config_);
  model_seen_ = true;
  const uint64_t limit = allowance_->process_limit() > 0 ? allowance_->process_limit() : AutomaticLimitNow();
  kv_store_ = std::make_unique<KvStore>(config_, config_.KvRam(limit), *allowance_, snapshot_);
}

ggml_backend_buffer_t Runtime::AllocateTensors(ggml_context* context, ggml_backend_buffer_type_t type, AllocateFunction allocate,
                                               void* caller) noexcept {
  if (!keeps_kv_) return allocate(context, type);
  try {
    std::shared_ptr<const GgmlApi> engine;
    {
      const std::lock_guard lock(mutex_);
      engine = FindEngine(caller);
      if (engine == nullptr || !engine->no_kv_files.empty()) return allocate(context, type);
      if (kv_store_ == nullptr) MakeKvStore();
    }
    if (!kv_store_->IsKvCache(*engine, context, type)) return allocate(context, type);
    kv_in_use_ = kv_store_.get();
    const auto in_file = kv_store_->Allocate(*engine, context);
    if (!in_file.ok()) {
      const std::lock_guard lock(mutex_);
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

void Runtime::SetHostCallback(ggml_backend_sched_t sched, HostCallback callback) {
  const std::lock_guard lock(mutex_);
  host_callbacks_[sched] = callback;
}

void Runtime::ForgetScheduler(ggml_backend_sched_t sched) {
  const std::lock_guard lock(mutex_);
  host_callbacks_.erase(sched);
}

ggml_status Runtime::Compute(ggml_backend_sched_t sched, ggml_cgraph* graph, Executor::ComputeFunction compute) noexcept {
  HostCallback host;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = host_callbacks_.find(sched); it != host_callbacks_.end()) host = it->second;
  }
  const auto engine = engines_.With(compute);
  if (engine == nullptr) return compute(sched, graph);
  if (KvStore* const store = kv_store()) {
    return store->Compute(*engine, sched, graph, host, [&](const HostCallback& callback) { return ComputeWeights(sched, graph, compute, callback); });
  }
  return ComputeWeights(sched, graph, compute, host);
}

ggml_status Runtime::ComputeWeights(ggml_backend_sched_t sched, ggml_cgraph* graph, Executor::ComputeFunction compute,
                                    const HostCallback& host) {
  if (!any_streams()) return compute(sched, graph);
  std::shared_ptr<Executor> executor;
  try {
    const std::lock_guard lock(mutex_);
    if (streaming_engine_ != engines_.With(compute)) return compute(sched, graph);
    if (executor_ == nullptr) {
      executor_ = std::make_shared<Executor>(*streaming_engine_, config_, *allowance_, mappings_, snapshot_);
    }
    executor = executor_;
  } catch (const std::exception& error) {
    LogWarning(error.what());
    return GGML_STATUS_FAILED;
  }
  return executor->Compute(sched, graph, compute, host);
}

}  // namespace headrace
