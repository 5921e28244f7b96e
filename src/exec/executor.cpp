#include "exec/executor.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>

#include <fmt/format.h>

#include "base/log.h"
#include "base/size.h"
#include "exec/cut_check.h"
#include "io/faulty_reader.h"

namespace headrace {
namespace {

uint64_t Now() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

Result<std::unique_ptr<Reader>> OpenReader(const Config& config) {
  const ReaderKind kind = config.reader == "uring" ? ReaderKind::kUring
                          : config.reader == "auto" ? ReaderKind::kAuto
                                                    : ReaderKind::kPread;
  auto reader = MakeReader(kind, Prefetcher::kDepth);
  if (!reader.ok()) return reader;
  LogDebug(fmt::format("reading with {}", (*reader)->name()));
  if (config.faults.empty()) return reader;
  const auto faults = ParseFaultSpec(config.faults);
  if (!faults.ok()) return Status(faults.status().code(), "HEADRACE_FAULT: " + faults.status().message());
  return MakeFaultyReader(std::move(*reader), *faults);
}

}  // namespace

Executor::Executor(const GgmlApi& api, const Config& config, uint64_t limit_bytes, MappingTable& mappings,
                   SnapshotWriter& snapshot)
    : api_(api),
      config_(config),
      mappings_(mappings),
      snapshot_(snapshot),
      layouts_(config.kernels == Kernels::kPlain ? nullptr : std::make_unique<PackedLayouts>(api, api.backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU))),
      weights_(api, layouts_.get(), limit_bytes),
      product_(api),
      choice_(config.kernels, config.disk_bytes_per_s) {
  snapshot_->budget_bytes = limit_bytes;
}

Executor::~Executor() = default;

ggml_status Executor::Compute(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute,
                              const HostCallback& host) noexcept {
  try {
    auto candidates = FindCandidates(sched, graph);
    if (candidates.empty()) return compute(sched, graph);
    const std::lock_guard lock(mutex_);
    const uint64_t start = Now();
    times_ = {};
    if (const Status ready = Prepare(std::move(candidates)); !ready.ok()) return Fail(ready);
    if (!usable_) return compute(sched, graph);
    times_.takeover_ns = Now() - start;
    const ggml_status status = RunPass(sched, graph, compute, host);
    if (status == GGML_STATUS_SUCCESS) Account(Now() - start);
    return status;
  } catch (const std::exception& error) {
    return Fail(Status(Code::kInternal, fmt::format("the pass was given up: {}", error.what())));
  }
}

// Products that the CPU computes from a mapped weight.
std::vector<Executor::Candidate> Executor::FindCandidates(ggml_backend_sched_t sched, ggml_cgraph* graph) const {
  std::vector<Candidate> candidates;
  const int nodes = api_.graph_n_nodes(graph);
  for (int i = 0; i < nodes; ++i) {
    ggml_tensor* node = api_.graph_node(graph, i);
    if (node->op != GGML_OP_MUL_MAT || (node->flags & GGML_TENSOR_FLAG_COMPUTE) == 0) continue;
    const ggml_tensor* weight = node->src[0];
    if (weight->data == nullptr || node->ne[0] * node->ne[1] * node->ne[2] * node->ne[3] == 0) continue;
    auto origin = mappings_.Find(weight->data, api_.nbytes(weight));
    if (!origin) continue;
    ggml_backend_t backend = api_.backend_sched_get_tensor_backend(sched, node);
    if (backend == nullptr ||
        api_.backend_dev_type(api_.backend_get_device(backend)) != GGML_BACKEND_DEVICE_TYPE_CPU) {
      continue;
    }
    Candidate& candidate = candidates.emplace_back();
    candidate.takeover.node = node;
    candidate.takeover.before = i == 0 ? nullptr : api_.graph_node(graph, i - 1);
    candidate.takeover.backend = backend;
    candidate.origin = std::move(*origin);
  }
  return candidates;
}

Status Executor::Prepare(std::vector<Candidate> candidates) {
  std::vector<Takeover> takeovers;
  takeovers.reserve(candidates.size());
  files_.clear();
  for (Candidate& candidate : candidates) {
    candidate.takeover.weight = weights_.FindOrAdd(*candidate.takeover.node->src[0], candidate.origin);
    const SourceFile* file = candidate.takeover.weight->origin.file.get();
    if (std::find(files_.begin(), files_.end(), file) == files_.end()) files_.push_back(file);
    takeovers.push_back(candidate.takeover);
  }
  HEADRACE_RETURN_IF_ERROR(CheckFiles());
  usable_ = usable_ && std::all_of(takeovers.begin(), takeovers.end(), [this](const Takeover& t) { return EngineCanBeCut(t); });
  if (!usable_) return {};
  HEADRACE_RETURN_IF_ERROR(weights_.Replan());
  HEADRACE_RETURN_IF_ERROR(EnsureMemory());
  pass_ = SchedulePass(std::move(takeovers), weights_.plan().segment_bytes);
  PublishPlan();
  return {};
}

// Checks each tensor type once. An engine that fails is left alone: its results from the mapping are right.
bool Executor::EngineCanBeCut(const Takeover& takeover) {
  const Weight& weight = *takeover.weight;
  if (!checked_.emplace(weight.tensor.type, weight.packed != nullptr).second) return true;
  if (PiecesEqualWhole(api_, product_, takeover.backend, weight)) return true;
  Fail(Status(Code::kUnsupported,
              fmt::format("this llama.cpp multiplies {} differently in pieces than whole: nothing streams, its own mapping is used",
                          api_.type_name(weight.tensor.type))));
  return false;
}

// Ring and scratch of the size that the plan says.
Status Executor::EnsureMemory() {
  const ResidencyPlan& plan = weights_.plan();
  if (prefetcher_ != nullptr && ring_reservation_.bytes() == plan.ring_bytes &&
      scratch_reservation_.bytes() == plan.scratch_bytes) {
    return {};
  }
  prefetcher_.reset();
  scratch_ = {};
  ring_reservation_.Release();
  scratch_reservation_.Release();
  auto ring_reservation = weights_.Charge(plan.ring_bytes, "read-ahead ring");
  if (!ring_reservation.ok()) return ring_reservation.status();
  auto scratch_reservation = weights_.Charge(plan.scratch_bytes, "repacking scratch");
  if (!scratch_reservation.ok()) return scratch_reservation.status();

  auto ring = Region::Reserve(plan.ring_bytes);
  if (!ring.ok()) return ring.status();
  HEADRACE_RETURN_IF_ERROR(ring->Commit(0, plan.ring_bytes));
  auto scratch = Region::Reserve(plan.scratch_bytes);
  if (!scratch.ok()) return scratch.status();
  HEADRACE_RETURN_IF_ERROR(scratch->Commit(0, plan.scratch_bytes));
  auto reader = OpenReader(config_);
  if (!reader.ok()) return reader.status();
  auto prefetcher = Prefetcher::Start(std::move(*reader), std::move(*ring));
  if (!prefetcher.ok()) return prefetcher.status();
  prefetcher_ = std::move(*prefetcher);
  scratch_ = std::move(*scratch);
  ring_reservation_ = std::move(*ring_reservation);
  scratch_reservation_ = std::move(*scratch_reservation);
  LogDebug(fmt::format("weights {}: {} resident, {} streamed per pass; ring {}, scratch {}, segments of at most {}",
                       FormatSize(weights_.weight_bytes()), FormatSize(plan.resident_bytes),
                       FormatSize(plan.streamed_bytes), FormatSize(plan.ring_bytes), FormatSize(plan.scratch_bytes),
                       FormatSize(plan.segment_bytes)));
  return {};
}

ggml_status Executor::RunPass(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute,
                              const HostCallback& host) {
  prefetcher_->BeginPass(pass_.segments, pass_.next);
  turn_ = 0;
  taken_ = nullptr;
  host_ = host;
  host_wants_ = false;
  failure_ = {};
  failed_compute_ = GGML_STATUS_SUCCESS;
  api_.backend_sched_set_eval_callback(sched, &Executor::OnNode, this);
  ggml_status status = compute(sched, graph);
  if (taken_ != nullptr) Answer(taken_);
  api_.backend_sched_set_eval_callback(sched, host.function, host.user_data);
  if (failure_.ok() && status == GGML_STATUS_SUCCESS) failure_ = CheckFiles();
  const bool complete = turn_ == pass_.takeovers.size();
  if (!failure_.ok() || failed_compute_ != GGML_STATUS_SUCCESS || !complete) prefetcher_->Reset();
  if (!failure_.ok()) return Fail(failure_);
  return failed_compute_ != GGML_STATUS_SUCCESS ? failed_compute_ : status;
}

bool Executor::OnNode(ggml_tensor* node, bool ask, void* self) noexcept {
  Executor& executor = *static_cast<Executor*>(self);
  return ask ? executor.Ask(node) : executor.Answer(node);
}

bool Executor::Ask(ggml_tensor* node) {
  host_wants_ = host_.function != nullptr && host_.function(node, true, host_.user_data);
  if (turn_ == pass_.takeovers.size()) return host_wants_;
  const Takeover& takeover = pass_.takeovers[turn_];
  if (node == takeover.before) return true;
  if (node != takeover.node) return host_wants_;

  const uint64_t start = Now();
  if (failure_.ok() && failed_compute_ == GGML_STATUS_SUCCESS) {
    try {
      failure_ = Execute(takeover);
    } catch (const std::exception& error) {
      failure_ = Status(Code::kInternal, fmt::format("the pass was given up: {}", error.what()));
    }
  }
  times_.takeover_ns += Now() - start;
  taken_ = node;
  taken_op_ = node->op;
  node->op = GGML_OP_NONE;
  ++turn_;
  return true;
}

bool Executor::Answer(ggml_tensor* node) {
  if (node == taken_) {
    node->op = taken_op_;
    taken_ = nullptr;
  }
  const bool wanted = host_wants_;
  host_wants_ = false;
  return !wanted || host_.function(node, false, host_.user_data);
}

Status Executor::Execute(const Takeover& takeover) {
  Weight& weight = *takeover.weight;
  Run run;
  if (takeover.resident_rows > 0) {
    run = {0, takeover.resident_rows, reinterpret_cast<uint8_t*>(weight.storage.data()), weight.packed};
    // The stream need not wait for it: what is resident is multiplied while the first rows arrive.
    if (takeover.node->ne[1] < KernelChoice::kWideColumns) HEADRACE_RETURN_IF_ERROR(Multiply(takeover, run, nullptr));
  }
  for (uint32_t i = 0; i < takeover.segments && failed_compute_ == GGML_STATUS_SUCCESS; ++i) {
    HEADRACE_RETURN_IF_ERROR(ExecuteSegment(takeover, takeover.first_segment + i, run));
  }
  return Multiply(takeover, run, nullptr);
}

// Takes the rows of one segment as they arrive. A narrow batch multiplies them at once. A wide one first
// gathers rows, since each product converts the batch anew.
Status Executor::ExecuteSegment(const Takeover& takeover, uint32_t index, Run& run) {
  Weight& weight = *takeover.weight;
  const SegmentRows& segment = pass_.rows[index];
  const uint64_t row_bytes = weight.cut.row_bytes;
  const int64_t columns = takeover.node->ne[1];
  const bool wide = columns >= KernelChoice::kWideColumns;
  const bool pack = weight.packed != nullptr && choice_.PackStreamed(columns);
  ggml_backend_buffer_t packed = segment.keep || pack ? weight.packed : nullptr;
  if (segment.keep) HEADRACE_RETURN_IF_ERROR(weights_.Commit(weight));

  const uint64_t start = Now();
  const auto arrival = prefetcher_->Await(segment.rows * row_bytes);
  times_.wait_ns += Now() - start;
  if (!arrival.ok()) return arrival.status();
  // The arrived bytes are const; the kernels take a pointer to data that they only read.
  uint8_t* data = const_cast<uint8_t*>(arrival->data);

  const bool gather = wide && weight.cut.by_rows;
  if (segment.keep || pack || gather) {
    uint8_t* const storage = reinterpret_cast<uint8_t*>(weight.storage.data()) + segment.first_row * row_bytes;
    uint8_t* const scratch = reinterpret_cast<uint8_t*>(scratch_.data());
    const bool extends = run.rows > 0 && run.packed == packed && run.first_row + run.rows == segment.first_row;
    uint8_t* const behind = run.data + run.rows * row_bytes;
    uint8_t* to = segment.keep ? storage : scratch;
    if (extends && !segment.keep && run.data == scratch && behind + segment.rows * row_bytes <= scratch + scratch_.bytes()) {
      to = behind;
    }
    if (!extends || to != behind) {
      HEADRACE_RETURN_IF_ERROR(Multiply(takeover, run, nullptr));
      run = {segment.first_row, 0, to, packed};
    }
    run.rows += segment.rows;
    if (packed != nullptr) times_.packed_bytes += segment.rows * row_bytes;
    const Move move{data, to};
    if (gather) {
      const uint64_t moving = Now();
      const Status moved = Check(product_.MoveRows(takeover.backend, weight.tensor, segment.rows, packed, move), takeover);
      times_.kernel_ns += Now() - moving;
      HEADRACE_RETURN_IF_ERROR(moved);
    } else {
      HEADRACE_RETURN_IF_ERROR(Multiply(takeover, run, &move));
    }
  } else {
    run = {segment.first_row, segment.rows, data, nullptr};
    HEADRACE_RETURN_IF_ERROR(Multiply(takeover, run, nullptr));
  }
  if (failed_compute_ != GGML_STATUS_SUCCESS) return {};  // the move may not have been made
  if (segment.keep) weight.resident_rows = std::max(weight.resident_rows, segment.first_row + segment.rows);
  prefetcher_->Pop();
  return {};
}

// Multiplies what the run holds, if anything, and empties it.
Status Executor::Multiply(const Takeover& takeover, Run& run, const Move* move) {
  if (run.rows == 0 || failed_compute_ != GGML_STATUS_SUCCESS) return {};
  const uint64_t start = Now();
  const ggml_status status =
      product_.Multiply(takeover.backend, *takeover.node, run.first_row, run.rows, run.data, run.packed, move);
  times_.kernel_ns += Now() - start;
  run = {};
  return Check(status, takeover);
}

Status Executor::Check(ggml_status status, const Takeover& takeover) {
  if (status == GGML_STATUS_SUCCESS) return {};
  if (status == GGML_STATUS_ABORTED) {
    failed_compute_ = status;  // the host's own wish, not a failure
    return {};
  }
  return Status(Code::kInternal, fmt::format("ggml failed to multiply {} (status {})", takeover.weight->tensor.name,
                                             static_cast<int>(status)));
}

Status Executor::CheckFiles() const {
  for (const SourceFile* file : files_) HEADRACE_RETURN_IF_ERROR(file->CheckUnchanged());
  return {};
}

ggml_status Executor::Fail(const Status& status) {
  LogWarning(status.message());
  SetLastError(*snapshot_, status.message());
  return status.code() == Code::kOutOfBudget ? GGML_STATUS_ALLOC_FAILED : GGML_STATUS_FAILED;
}

void Executor::Forget(const void* address, uint64_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  if (prefetcher_ != nullptr) prefetcher_->Reset();
  if (!weights_.Remove(address, bytes) || !weights_.empty()) return;
  prefetcher_.reset();
  scratch_ = {};
  ring_reservation_.Release();
  scratch_reservation_.Release();
  pass_ = {};
  snapshot_->state = Snapshot::kPassive;
}

void Executor::PublishPlan() {
  Snapshot& snapshot = *snapshot_;
  const ResidencyPlan& plan = weights_.plan();
  const bool loading = std::any_of(pass_.rows.begin(), pass_.rows.end(), [](const SegmentRows& rows) { return rows.keep; });
  snapshot.state = loading ? Snapshot::kLoading : Snapshot::kStreaming;
  snapshot.weight_bytes = weights_.weight_bytes();
  snapshot.resident_target_bytes = plan.resident_bytes;
  snapshot.streamed_bytes_per_pass = plan.streamed_bytes;
  snapshot.ring_bytes = plan.ring_bytes;
  snapshot.scratch_bytes = plan.scratch_bytes;
  snapshot.direct_io = std::all_of(files_.begin(), files_.end(), [](const SourceFile* file) { return file->direct(); });
  if (const Weight* weight = weights_.Largest()) {
    const std::string& path = weight->origin.file->path();
    std::strncpy(snapshot.model, path.substr(path.rfind('/') + 1).c_str(), sizeof snapshot.model - 1);
  }
}

void Executor::Account(uint64_t wall_ns) {
  Snapshot& snapshot = *snapshot_;
  const auto add = [](Snapshot::Counter& counter, uint64_t amount) { counter.fetch_add(amount, std::memory_order_relaxed); };
  const uint64_t own_ns = times_.takeover_ns - std::min(times_.takeover_ns, times_.wait_ns + times_.kernel_ns);
  const uint64_t read_before = snapshot.bytes_read;
  const uint64_t packed_before = snapshot.repack_ns;
  snapshot.bytes_read = prefetcher_->bytes_read();
  snapshot.reads_failed = prefetcher_->reads_failed();
  snapshot.reads_retried = prefetcher_->reads_retried();
  snapshot.resident_bytes = weights_.resident_bytes();
  snapshot.repack_ns = product_.move_ns();
  add(snapshot.passes, 1);
  add(snapshot.pass_ns, wall_ns);
  add(snapshot.wait_ns, times_.wait_ns);
  add(snapshot.kernel_ns, times_.kernel_ns);
  add(snapshot.own_ns, own_ns);
  const bool loading = snapshot.state == Snapshot::kLoading;
  if (pass_.columns == 1 && !loading) {
    add(snapshot.decode_passes, 1);
    add(snapshot.decode_ns, wall_ns);
    add(snapshot.decode_wait_ns, times_.wait_ns);
    add(snapshot.decode_own_ns, own_ns);
    add(snapshot.decode_bytes, pass_.segment_bytes);
  }
  const bool undecided = !choice_.decided();
  choice_.Observe({.columns = pass_.columns,
                   .bytes_read = snapshot.bytes_read - read_before,
                   .wall_ns = wall_ns,
                   .packed_bytes = times_.packed_bytes,
                   .pack_ns = snapshot.repack_ns - packed_before,
                   .streamed_bytes = weights_.plan().streamed_bytes,
                   .weight_bytes = weights_.weight_bytes()});
  snapshot.kernels = choice_.pack_narrow() ? Snapshot::kRepack : Snapshot::kPlain;
  if (undecided && choice_.decided()) {
    LogDebug(fmt::format("streamed weights use {} kernels for narrow batches", choice_.pack_narrow() ? "repacked" : "plain"));
  }
  LogDebug(fmt::format("pass {}: {} columns, {:.1f} ms: {:.1f} waiting for the disk, {:.1f} in kernels ({:.1f} repacking), {:.1f} own; {} streamed",
                       snapshot.passes.load(), pass_.columns, wall_ns / 1e6, times_.wait_ns / 1e6, times_.kernel_ns / 1e6,
                       (snapshot.repack_ns - packed_before) / 1e6, own_ns / 1e6, FormatSize(pass_.segment_bytes)));
  snapshot.state = Snapshot::kStreaming;
}

}  // namespace headrace
