#include "exec/executor.h"

#include <algorithm>
#include <exception>

#include "base/cache_directory.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "exec/configured_reader.h"
#include "exec/pass_failure.h"
#include "exec/unless_busy.h"

namespace headrace {
namespace {

std::unique_ptr<RouterTraceWriter> OpenTrace(const Config& config) {
  if (config.trace_path.empty()) return nullptr;
  auto trace = RouterTraceWriter::Create(config.trace_path);
  if (trace.ok()) return std::move(*trace);
  LogWarning(trace.status().message());
  return nullptr;
}

bool HasDevice(const GgmlApi& api) {
  return api.backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_GPU) != nullptr ||
         api.backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_IGPU) != nullptr;
}

// The one whose pass this thread computes.
thread_local const Executor* t_computing = nullptr;

}  // namespace

Executor::Executor(const GgmlApi& api, const Config& config, WeightsAllowance& allowance, MappingTable& mappings,
                   const ExpertStacks& stacks, SnapshotWriter& snapshot)
    : api_(api),
      config_(config),
      allowance_(allowance),
      mappings_(mappings),
      stacks_(stacks),
      snapshot_(snapshot),
      trace_(OpenTrace(config)),
      layouts_(config.kernels == Kernels::kPlain ? nullptr : std::make_unique<PackedLayouts>(api)),
      headroom_(ReadTextFile),
      weights_(api, layouts_.get(), config.kernels == Kernels::kRepack),
      drive_buffer_bytes_(DriveBufferBytes(allowance.Bytes(), 1 + config.mirrors.size())),
      reads_([this](unsigned depth) { return OpenConfiguredReader(config_, depth, drives_, drive_buffer_bytes_); },
             1 + static_cast<unsigned>(std::min(config.mirrors.size(), kMostDrives))),
      copies_(reads_, headroom_),
      experts_(config.remember ? std::optional(CacheDirectory()) : std::nullopt),
      rows_(api),
      routers_(api),
      choice_(config.kernels),
      trust_(api, choice_, apart_types_),
      account_(snapshot, reads_, weights_, experts_, rows_),
      memory_(reads_, allowance, weights_, experts_, rows_, snapshot, headroom_),
      pass_(weights_, experts_, memory_, account_, headroom_, snapshot, trace_.get()),
      workers_(api, apart_types_),
      uploader_(api, pass_, experts_, copies_),
      graph_pass_(api, pass_, choice_, workers_),
      callback_pass_(api, pass_, uploader_, choice_, apart_types_, workers_),
      state_guard_(api) {
  weights_.SetDrives(1 + config.mirrors.size());
  SetAside();
  account_.SetDrives(drives_);
  snapshot->probed_disk_bytes_per_s = static_cast<uint64_t>(config.disk_bytes_per_s);
  auto watch = MemoryWatch::Start([this] {
    allowance_.Refresh();
    FollowAllowance();
  });
  if (watch.ok()) {
    watch_ = std::move(*watch);
  } else {
    LogWarning("headrace cannot follow how much memory is available: " + watch.status().message());
  }
}

Executor::~Executor() = default;

ggml_status Executor::Compute(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute,
                              const HostCallback& host) noexcept {
  try {
    copies_.CloseIfIdle();
    const auto mapped = MappedWeightsOf(sched);
    auto products =
        FindProducts(api_, sched, graph, mapped == nullptr ? std::span<const MappedWeight>{} : *mapped, mappings_);
    if (products.empty()) return compute(sched, graph);
    auto lookups = FindLookups(api_, sched, graph, mappings_);
    const ggml_status status = ComputeAlone(std::move(products), std::move(lookups), sched, graph, compute, host);
    DropForgottenUnlessBusy();
    return status;
  } catch (const std::exception& error) {
    return Fail(GivenUp(error));
  }
}

void Executor::BeforeAllocation(ggml_backend_sched_t sched, ggml_cgraph* graph) noexcept {
  try {
    auto mapped = std::make_shared<const std::vector<MappedWeight>>(FindMappedWeights(api_, graph, mappings_, stacks_));
    const std::lock_guard lock(mapped_mutex_);
    mapped_[sched] = std::move(mapped);
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

void Executor::ForgetScheduler(ggml_backend_sched_t sched) noexcept {
  const std::lock_guard lock(mapped_mutex_);
  mapped_.erase(sched);
}

std::shared_ptr<const std::vector<MappedWeight>> Executor::MappedWeightsOf(ggml_backend_sched_t sched) {
  const std::lock_guard lock(mapped_mutex_);
  const auto mapped = mapped_.find(sched);
  return mapped == mapped_.end() ? nullptr : mapped->second;
}

ggml_status Executor::ComputeAlone(std::vector<ManagedProduct> products, std::vector<Lookup> lookups,
                                   ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute,
                                   const HostCallback& host) {
  const std::lock_guard lock(mutex_);
  DropForgotten();  // another model may lie where one lay
  if (copies_.memory_bytes() > 0) copies_.Close();
  const uint64_t start = Now();
  account_.Begin(start);
  GuardStates(graph);
  if (const Status ready = Prepare(std::move(products), std::move(lookups)); !ready.ok()) return Fail(ready);
  if (pass_.plan.takeovers.empty()) return compute(sched, graph);
  account_.times.takeover_ns = Now() - start;
  const ggml_status status = RunPass(sched, graph, compute, host);
  const uint64_t end = Now();
  account_.Publish(end);
  if (status == GGML_STATUS_SUCCESS) Account(end - start);
  return status;
}

// States that would take more than their share of the memory are not guarded: a failed pass then says so.
void Executor::GuardStates(ggml_cgraph* graph) {
  constexpr uint64_t kMostPart = 4, kUncounted = kMiB;
  const uint64_t bytes = state_guard_.Find(graph);
  unguarded_ = bytes > std::max(kUncounted, allowance_.Bytes() / kMostPart);
  if (unguarded_) state_guard_.LeaveOut();
  guarded_bytes_ = unguarded_ || bytes <= kUncounted ? 0 : AlignUp(bytes, PageBytes());
}

// What is held beside the plan.
void Executor::SetAside() {
  memory_.SetAside(copies_.memory_bytes() + guarded_bytes_ + routers_.bytes() +
                   drive_buffer_bytes_ * (1 + config_.mirrors.size()));
}

Status Executor::Prepare(std::vector<ManagedProduct> products, std::vector<Lookup> lookups) {
  // What the engine cannot be trusted to compute in pieces is left to its own mapping: right, at the speed of page
  // faults.
  std::erase_if(products, [this](const ManagedProduct& product) {
    if (product.takeover.upload) return false;
    const ggml_tensor& node = *product.takeover.node;
    Weight& weight = *weights_.FindOrAdd(*node.src[0], product.origin, node.op == api_.op.mul_mat_id);
    weight.streams = trust_.MayCut(weight);
    if (!weight.streams) mappings_.LeaveToKernel(node.src[0]->data, weight.bytes());
    return !weight.streams;
  });
  constexpr uint64_t kRoutersPart = 16;
  routers_.SetLimit(allowance_.Bytes() / kRoutersPart);
  MakePassPlan(api_, std::move(products), config_.look_ahead ? &routers_ : nullptr, weights_, experts_, pass_.plan);
  SetAside();
  if (pass_.plan.takeovers.empty()) return {};
  for (Lookup& lookup : lookups) lookup.table = rows_.FindOrAdd(lookup);
  AddLookups(std::move(lookups), pass_.plan);
  weights_.SetTables(rows_.Shapes());
  HEADRACE_RETURN_IF_ERROR(CheckFiles());
  HEADRACE_RETURN_IF_ERROR(pass_.Begin());
  // Devices are given experts in the file's layout, and would not find them in the cache.
  if (!choice_.CacheDecided() && experts_.cache() != nullptr && !HasDevice(api_))
    choice_.DecideCache(experts_.ExpectedMisses());
  return {};
}

ggml_status Executor::RunPass(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute,
                              const HostCallback& host) {
  if (const Status saved = state_guard_.Save(); !saved.ok()) {
    pass_.End();
    return Fail(saved);
  }
  ggml_status status = GGML_STATUS_SUCCESS;
  uploader_.Begin();
  t_computing = this;
  Status failure = Run(sched, graph, compute, host, status);
  t_computing = nullptr;
  CountUploads(uploader_.bytes_copied(), uploader_.bytes_from_memory());
  const bool stopped = failure.code() == Code::kCancelled;  // the host's own wish, not a failure
  if (failure.ok() && status == GGML_STATUS_SUCCESS) failure = CheckFiles();
  pass_.End();
  if (failure.ok() && status == GGML_STATUS_SUCCESS && pass_.complete()) return status;
  if (Prefetcher* const prefetcher = memory_.prefetcher()) prefetcher->Reset();
  if (!failure.ok() || status != GGML_STATUS_SUCCESS) {
    state_guard_.Restore();
    if (unguarded_)
      LogWarning(
          "the states of this context's recurrent layers are no longer valid: clear the context, or make a new one");
  }
  if (stopped) return GGML_STATUS_ABORTED;
  return failure.ok() ? status : Fail(failure);
}

Status Executor::Run(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute, const HostCallback& host,
                     ggml_status& status) {
  const auto& takeovers = pass_.plan.takeovers;
  const bool by_device =
      std::all_of(takeovers.begin(), takeovers.end(), [](const Takeover& takeover) { return takeover.upload; });
  if (host.function == nullptr && graph_pass_.Fits(sched, graph)) return graph_pass_.Run(sched, graph, compute, status);
  if (!by_device || !pass_.plan.lookups.empty()) return callback_pass_.Run(sched, graph, compute, host, status);
  status = compute(sched, graph);
  return status == GGML_STATUS_SUCCESS ? uploader_.End(nullptr) : uploader_.failure();
}

void Executor::BeforeUpload(const void* data) noexcept {
  if (t_computing != this) return;
  try {
    uploader_.BeforeCopy(data);  // the pass asks for its failure
  } catch (const std::exception& error) {
    uploader_.Fail(GivenUp(error));
  }
}

Status Executor::Upload(const void* data, uint64_t bytes, const Origin& origin, const RangeCopy::Take& take,
                        bool by_threads) noexcept {
  try {
    if (t_computing == this) return uploader_.Copy(data, bytes, origin, take, by_threads);
    const Status copied = copies_.CopyAndReadOn(origin.file, origin.offset, bytes, take);
    if (copied.ok()) CountUploads(bytes, 0);
    if (!copied.ok()) Fail(copied);
    return copied;
  } catch (const std::exception& error) {
    const Status status = GivenUp(error);
    Fail(status);
    return status;
  }
}

bool Executor::ComputesHere() const { return t_computing == this; }

void Executor::CountUploads(uint64_t bytes, uint64_t from_memory) {
  snapshot_->uploaded_bytes.fetch_add(bytes, std::memory_order_relaxed);
  snapshot_->uploaded_from_memory_bytes.fetch_add(from_memory, std::memory_order_relaxed);
}

void Executor::FollowAllowance() noexcept {
  try {
    if (memory_.ExceedsAllowance()) {
      const std::unique_lock lock(mutex_, std::try_to_lock);
      if (!lock.owns_lock()) return;
      if (const auto given = pass_.GiveBack(); !given.ok()) Fail(given.status());
    }
    DropForgottenUnlessBusy();
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

Status Executor::CheckFiles() const {
  for (const SourceFile* file : pass_.plan.files) HEADRACE_RETURN_IF_ERROR(file->CheckUnchanged());
  return {};
}

ggml_status Executor::Fail(const Status& status) {
  LogWarning(status.message());
  SetLastError(*snapshot_, status.message());
  return status.code() == Code::kOutOfBudget ? GGML_STATUS_ALLOC_FAILED : GGML_STATUS_FAILED;
}

void Executor::Forget(const void* address, uint64_t bytes) noexcept {
  try {
    {
      const std::lock_guard lock(forgotten_mutex_);
      forgotten_.emplace_back(address, bytes);
    }
    DropForgottenUnlessBusy();
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

void Executor::DropForgottenUnlessBusy() {
  const auto any = [this] {
    const std::lock_guard lock(forgotten_mutex_);
    return !forgotten_.empty();
  };
  DoUnlessBusy(mutex_, any, [this] { DropForgotten(); });
}

// Gives back what is in memory of unmapped weights. No pass runs.
void Executor::DropForgotten() {
  std::vector<std::pair<const void*, uint64_t>> ranges;
  {
    const std::lock_guard lock(forgotten_mutex_);
    ranges.swap(forgotten_);
  }
  std::erase_if(ranges, [this](const auto& range) {
    return !weights_.Any(range.first, range.second) && !rows_.Any(range.first, range.second);
  });
  if (ranges.empty()) return;
  if (Prefetcher* const prefetcher = memory_.prefetcher()) prefetcher->Reset();
  pass_.plan.Clear();
  experts_.Clear();
  routers_.Clear();
  for (const auto& [address, bytes] : ranges) {
    weights_.Remove(address, bytes);
    rows_.Remove(address, bytes);
  }
  if (!weights_.empty()) {
    snapshot_->weight_bytes = weights_.weight_bytes();
    snapshot_->resident_bytes = weights_.resident_bytes();
    return;
  }
  copies_.Close([this] { memory_.Clear(); });
  snapshot_->state = Snapshot::kPassive;
}

void Executor::Leave() noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock.owns_lock()) experts_.Save();
}

void Executor::Account(uint64_t wall_ns) {
  const PassPlan& plan = pass_.plan;
  const bool largest = !plan.of_head && plan.takeovers.front().weight->origin.model == weights_.Largest()->origin.model;
  const PassAccount::Pass pass{plan.columns,
                               largest,
                               wall_ns,
                               pass_.streamed_bytes(),
                               plan.multiplied_bytes,
                               callback_pass_.move_ns() + workers_.move_ns()};
  const uint64_t read_by_cache = account_.Finish(pass, choice_);
  if (account_.counts.chosen > 0) pass_.set_foresees(read_by_cache > 0);
}

}  // namespace headrace
