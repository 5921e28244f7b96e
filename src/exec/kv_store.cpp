#include "exec/kv_store.h"

#include <algorithm>
#include <exception>
#include <map>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/size.h"
#include "exec/kv_graph.h"
#include "exec/kv_pass.h"
#include "exec/pass_failure.h"
#include "exec/unless_busy.h"

namespace headrace {

KvStore::KvStore(const Config& config, uint64_t ram_bytes, WeightsAllowance& allowance, SnapshotWriter& snapshot)
    : config_(config), ram_bytes_(ram_bytes), allowance_(allowance), snapshot_(snapshot) {
  snapshot_->kv_ram_bytes = ram_bytes_;
}

bool KvStore::IsKvCache(const GgmlApi& api, ggml_context* context, ggml_backend_buffer_type_t type) const {
  if (type != api.backend_cpu_buffer_type()) return false;
  const ggml_tensor* tensor = api.get_first_tensor(context);
  return tensor != nullptr && tensor->data == nullptr && IsKvName(tensor->name);
}

KvStore::CacheSize KvStore::SizeOf(const GgmlApi& api, ggml_context* context) {
  CacheSize size;
  std::map<std::string_view, uint64_t> layers;  // "0" of "cache_k_l0" -> its bytes
  for (ggml_tensor* tensor = api.get_first_tensor(context); tensor != nullptr;
       tensor = api.get_next_tensor(context, tensor)) {
    if (tensor->view_src != nullptr) continue;
    const uint64_t own = AlignUp(api.nbytes(tensor), PageBytes());
    size.bytes += own;
    const std::string_view name = tensor->name;
    uint64_t& layer = layers[name.substr(name.rfind('l') + 1)];
    layer += own;
    size.layer_bytes = std::max(size.layer_bytes, layer);
  }
  return size;
}

Result<ggml_backend_buffer_t> KvStore::Allocate(const GgmlApi& api, ggml_context* context) {
  const CacheSize size = SizeOf(api, context);
  const std::lock_guard lock(mutex_);
  uint64_t floor = 0;  // what caches in files need
  for (const Cache& cache : caches_) floor = std::max(floor, cache.file != nullptr ? cache.size.layer_bytes : 0);
  const bool in_file = size.bytes + floor > Left();
  LogDebug(fmt::format("KV cache of {}, {} of memory for it: {}", FormatSize(size.bytes), FormatSize(Left()),
                       in_file ? "in a file in " + config_.kv_dir : "in memory"));
  if (!in_file) return ggml_backend_buffer_t{nullptr};
  HEADRACE_RETURN_IF_ERROR(CheckLimits(size));
  auto file = KvFile::Create(config_.kv_dir, size.bytes);
  if (!file.ok()) return file.status();
  if (pager_ == nullptr) {
    auto pager = KvPager::Start(Left());
    if (!pager.ok()) return pager.status();
    pager_ = std::move(*pager);
  }
  ggml_backend_buffer_t buffer = api.backend_cpu_buffer_from_ptr(file->data(), file->bytes());
  if (buffer == nullptr) return Status(Code::kInternal, "ggml made no buffer for the KV cache");
  std::byte* at = file->data();
  for (ggml_tensor* tensor = api.get_first_tensor(context); tensor != nullptr;
       tensor = api.get_next_tensor(context, tensor)) {
    if (tensor->view_src != nullptr) {
      api.backend_view_init(tensor);
    } else {
      // Pages of its own, so that it can come and go alone.
      api.backend_tensor_alloc(buffer, tensor, at);
      at += AlignUp(api.nbytes(tensor), PageBytes());
    }
  }
  caches_.push_back({buffer, size, std::make_unique<KvFile>(std::move(*file))});
  Publish();
  return buffer;
}

Status KvStore::CheckLimits(const CacheSize& size) const {
  constexpr const char* kSmaller =
      "make the KV cache smaller: a smaller context (-c), quantized keys and values (-ctk q8_0 -ctv q8_0)";
  const uint64_t taken = Sum(false), others = Sum(true);
  if (size.layer_bytes > Left()) {
    return Status(
        Code::kOutOfBudget,
        fmt::format("{} of memory for the KV cache{} are too little: the keys and values of one layer need {} of it at "
                    "a time; raise --kv-ram, or {}",
                    FormatSize(Left()),
                    taken > 0 ? fmt::format(" (others take {} of {})", FormatSize(taken), FormatSize(ram_bytes_)) : "",
                    FormatSize(size.layer_bytes), kSmaller));
  }
  if (config_.kv_disk_max_bytes > 0 && size.bytes + others > config_.kv_disk_max_bytes) {
    return Status(Code::kOutOfBudget,
                  fmt::format("the KV cache needs {} of disk{}, and --kv-disk-max allows {}: raise it, or {}",
                              FormatSize(size.bytes), others > 0 ? " beside " + FormatSize(others) + " of others" : "",
                              FormatSize(config_.kv_disk_max_bytes), kSmaller));
  }
  return {};
}

void KvStore::Keep(const GgmlApi& api, ggml_backend_buffer_t buffer) {
  const std::lock_guard lock(mutex_);
  caches_.push_back({buffer, {api.backend_buffer_get_size(buffer), 0}, nullptr});
  Publish();
}

// What is in memory as a whole leaves less for those in files.
void KvStore::Publish() {
  const uint64_t in_files = Sum(true), left = Left();
  snapshot_->kv_file_bytes = in_files;
  allowance_.SetFileCaches(std::min(in_files, left));
  if (pager_ != nullptr) pager_->SetRam(left);
}

uint64_t KvStore::Sum(bool in_files) const {
  uint64_t bytes = 0;
  for (const Cache& cache : caches_) bytes += (cache.file != nullptr) == in_files ? cache.size.bytes : 0;
  return bytes;
}

uint64_t KvStore::Left() const { return ram_bytes_ - std::min(ram_bytes_, Sum(false)); }

const KvFile* KvStore::Find(const void* address) const {
  for (const Cache& cache : caches_) {
    if (cache.file != nullptr && cache.file->Holds(address)) return cache.file.get();
  }
  return nullptr;
}

bool KvStore::Fill(ggml_backend_buffer_t buffer, uint8_t value) {
  std::unique_lock pass_lock(pass_mutex_, std::defer_lock);
  {
    const std::lock_guard lock(mutex_);
    const Cache* const cache = FindCache(buffer);
    if (cache == nullptr || cache->file == nullptr) return false;
    const bool in_use = std::find(in_pass_.begin(), in_pass_.end(), cache->file.get()) != in_pass_.end();
    if (!in_use) return FillFile(*cache->file, value);
  }
  pass_lock.lock();
  bool filled = false;
  {
    const std::lock_guard lock(mutex_);
    const Cache* const cache = FindCache(buffer);
    filled = cache != nullptr && cache->file != nullptr && FillFile(*cache->file, value);
  }
  pass_lock.unlock();
  DropFreedUnlessBusy();
  return filled;
}

bool KvStore::FillFile(KvFile& file, uint8_t value) {
  const Status filled = file.Fill(value);
  if (!filled.ok()) Fail(filled);
  return filled.ok();
}

KvStore::Cache* KvStore::FindCache(ggml_backend_buffer_t buffer) {
  const auto cache = std::find_if(caches_.begin(), caches_.end(), [&](const Cache& c) { return c.buffer == buffer; });
  return cache == caches_.end() ? nullptr : &*cache;
}

void KvStore::Free(ggml_backend_buffer_t buffer, void (*free)(ggml_backend_buffer_t)) {
  std::unique_ptr<KvFile> file;
  {
    const std::lock_guard lock(mutex_);
    if (Cache* const cache = FindCache(buffer)) {
      file = std::move(cache->file);
      caches_.erase(caches_.begin() + (cache - caches_.data()));
      Publish();
    }
  }
  free(buffer);  // before its memory
  if (file == nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    freed_.push_back(std::move(file));
  }
  DropFreedUnlessBusy();
}

void KvStore::DropFreedUnlessBusy() {
  const auto any = [this] {
    const std::lock_guard lock(mutex_);
    return !freed_.empty();
  };
  DoUnlessBusy(pass_mutex_, any, [this] { DropFreed(); });
}

void KvStore::DropFreed() {
  std::vector<std::unique_ptr<KvFile>> freed;
  {
    const std::lock_guard lock(mutex_);
    freed.swap(freed_);
  }
  for (const auto& file : freed) pager_->Forget(file.get());
  std::unique_ptr<KvPager> unused;
  const std::lock_guard lock(mutex_);
  if (Sum(true) == 0 && freed_.empty()) unused = std::move(pager_);
}

uint64_t KvStore::CachedBytes() const {
  const std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  for (const Cache& cache : caches_) bytes += cache.file != nullptr ? cache.file->CachedBytes() : 0;
  return bytes;
}

ggml_status KvStore::Fail(const Status& status) {
  LogWarning(status.message());
  SetLastError(*snapshot_, status.message());
  return GGML_STATUS_FAILED;
}

ggml_status KvStore::Compute(const GgmlApi& api, ggml_backend_sched_t sched, ggml_cgraph* graph,
                             const HostCallback& host, const ComputeFunction& compute) noexcept {
  ggml_status status = GGML_STATUS_FAILED;
  try {
    status = RunPass(api, sched, graph, host, compute);
  } catch (const std::exception& error) {
    status = Fail(GivenUp(error));
  }
  DropFreedUnlessBusy();
  return status;
}

KvStore::FilesInPass::FilesInPass(KvStore& store, const std::vector<KvLayer>& layers) : store_(store) {
  const std::lock_guard lock(store_.mutex_);
  for (const KvLayer& layer : layers) {
    for (const KvPart& part : layer) store_.in_pass_.push_back(part.file);
  }
}

KvStore::FilesInPass::~FilesInPass() {
  const std::lock_guard lock(store_.mutex_);
  store_.in_pass_.clear();
}

ggml_status KvStore::RunPass(const GgmlApi& api, ggml_backend_sched_t sched, ggml_cgraph* graph,
                             const HostCallback& host, const ComputeFunction& compute) {
  KvGraph found;
  {
    const std::lock_guard lock(mutex_);
    if (pager_ != nullptr) found = FindKvUses(api, graph, [this](const void* address) { return Find(address); });
  }
  if (found.uses.empty()) return compute(host);
  const std::lock_guard pass_lock(pass_mutex_);
  std::vector<KvLayer> layers;
  for (const KvUse& use : found.uses) layers.push_back(use.parts);
  const FilesInPass in_pass(*this, layers);
  const auto paging = pager_->Begin(std::move(layers));
  if (!paging.ok()) return Fail(paging.status());
  ggml_status status = GGML_STATUS_SUCCESS;
  Status failure;
  if (*paging) {
    KvPass pass(*pager_, found.uses, host);
    const HostCallback callback = pass.callback();
    api.backend_sched_set_eval_callback(sched, callback.function, callback.user_data);
    status = compute(callback);
    api.backend_sched_set_eval_callback(sched, host.function, host.user_data);
    failure = pass.failure();
  } else {
    status = compute(host);
  }
  const Status ended = pager_->End();
  if (*paging && GetLogLevel() == LogLevel::kDebug) {
    LogDebug(fmt::format("KV cache: {} bytes in memory, {} read, {:.1f} ms waiting", CachedBytes(),
                         FormatSize(pager_->bytes_read() - snapshot_->kv_bytes_read),
                         static_cast<double>(pager_->wait_ns() - snapshot_->kv_wait_ns) / 1e6));
  }
  snapshot_->kv_bytes_read = pager_->bytes_read();
  snapshot_->kv_bytes_written.fetch_add(found.written_bytes, std::memory_order_relaxed);
  snapshot_->kv_wait_ns = pager_->wait_ns();
  if (!failure.ok() || !ended.ok()) return Fail(failure.ok() ? ended : failure);
  return status;
}

}  // namespace headrace
