#include "exec/executor.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>

#include <fmt/format.h>

#include "base/cache_directory.h"
#include "base/clock.h"
#include "base/log.h"
#include "exec/cut_check.h"
#include "exec/kernel_timing.h"

namespace headrace {
namespace {

// From how many columns on rows are gathered before they are multiplied (docs/architecture.md): in a packed layout they are moved anyway
// and still in the cores' caches when they are multiplied at once; in the file's layout gathering is a copy.
constexpr int64_t kGatherPlain = 9, kGatherPacked = 64;

// A MUL_MAT_ID that chooses one matrix of a three-dimensional weight for each of some ids of each token.
bool IsExpertProduct(const GgmlApi& api, const ggml_tensor& node) {
  if (node.op != api.op.mul_mat_id) return false;
  const ggml_tensor &weight = *node.src[0], &columns = *node.src[1], &ids = *node.src[2];
  return weight.ne[3] == 1 && columns.type == GGML_TYPE_F32 && columns.nb[0] == sizeof(float) && columns.ne[3] == 1 &&
         ids.type == GGML_TYPE_I32 && ids.ne[0] == node.ne[1] && ids.ne[1] == node.ne[2] && ids.ne[2] == 1 && ids.ne[3] == 1 &&
         node.nb[0] == sizeof(float);
}

}  // namespace

Executor::Executor(const GgmlApi& api, const Config& config, WeightsAllowance& allowance, MappingTable& mappings,
                   SnapshotWriter& snapshot)
    : api_(api),
      config_(config),
      allowance_(allowance),
      mappings_(mappings),
      snapshot_(snapshot),
      layouts_(config.kernels == Kernels::kPlain ? nullptr : std::make_unique<PackedLayouts>(api)),
      headroom_(ReadTextFile),
      weights_(api, layouts_.get()),
      experts_(config.remember ? std::optional(CacheDirectory()) : std::nullopt),
      product_(api),
      choice_(config.kernels),
      expert_multiplier_(api, choice_),
      account_(snapshot, weights_, experts_),
      memory_(config_, allowance, weights_, experts_, account_, snapshot, headroom_) {
  snapshot->probed_disk_bytes_per_s = static_cast<uint64_t>(config.disk_bytes_per_s);
  if (!config.trace_path.empty()) {
    auto trace = RouterTraceWriter::Create(config.trace_path);
    if (trace.ok()) {
      trace_ = std::move(*trace);
    } else {
      LogWarning(trace.status().message());
    }
  }
  auto watch = MemoryWatch::Start([this] {
    allowance_.Refresh();
    FollowAllowance();
  });
  if (watch.ok()) {
    watch_ = std::move(*watch);
  } else {
    LogWarning("the budget does not follow what memory is available: " + watch.status().message());
  }
}

Executor::~Executor() = default;

ggml_status Executor::Compute(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute,
                              const HostCallback& host) noexcept {
  try {
    auto candidates = FindCandidates(sched, graph);
    if (candidates.empty()) return compute(sched, graph);
    const std::lock_guard lock(mutex_);
    const uint64_t start = Now();
    account_.Begin(start);
    if (const Status ready = Prepare(std::move(candidates)); !ready.ok()) return Fail(ready);
    if (!usable_) return compute(sched, graph);
    account_.times.takeover_ns = Now() - start;
    const ggml_status status = RunPass(sched, graph, compute, host);
    const uint64_t end = Now();
    account_.Publish(end, memory_.prefetcher());
    if (status == GGML_STATUS_SUCCESS) Account(end - start);
    return status;
  } catch (const std::exception& error) {
    return Fail(Status(Code::kInternal, fmt::format("the pass was given up: {}", error.what())));
  }
}

// Products that the CPU computes from a mapped weight. Any other MUL_MAT_ID is left to the mapping.
std::vector<Executor::Candidate> Executor::FindCandidates(ggml_backend_sched_t sched, ggml_cgraph* graph) const {
  std::vector<Candidate> candidates;
  const int nodes = api_.graph_n_nodes(graph);
  for (int i = 0; i < nodes; ++i) {
    ggml_tensor* node = api_.graph_node(graph, i);
    if ((node->op != api_.op.mul_mat && !IsExpertProduct(api_, *node)) || !api_.Computes(*node)) continue;
    const ggml_tensor* weight = node->src[0];
    if (node->op == api_.op.mul_mat_id && !CutOf(api_, *weight).by_rows) continue;  // through the mapping
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
  uses_.clear();  // their pins, before the cache can go
  takeovers_.clear();
  takeovers_.reserve(candidates.size());
  files_.clear();
  for (Candidate& candidate : candidates) {
    Takeover& takeover = candidate.takeover;
    takeover.weight = weights_.FindOrAdd(*takeover.node->src[0], candidate.origin, takeover.node->op == api_.op.mul_mat_id);
    const SourceFile* file = takeover.weight->origin.file.get();
    if (std::find(files_.begin(), files_.end(), file) == files_.end()) files_.push_back(file);
    takeovers_.push_back(std::move(takeover));
  }
  HEADRACE_RETURN_IF_ERROR(CheckFiles());
  usable_ = usable_ && std::all_of(takeovers_.begin(), takeovers_.end(), [this](const Takeover& t) { return EngineCanBeCut(t); });
  if (!usable_) return {};
  GroupExperts();
  uint64_t column_bytes = 0;
  columns_ = 0;
  multiplied_bytes_ = 0;
  for (const Takeover& takeover : takeovers_) {
    const ggml_tensor& node = *takeover.node;
    const ExpertUse* const use = takeover.experts;
    columns_ = std::max(columns_, use != nullptr ? use->tokens : node.ne[1] * node.ne[2] * node.ne[3]);
    multiplied_bytes_ += use == nullptr ? takeover.weight->bytes() : takeover.weight->bytes() / use->experts * static_cast<uint64_t>(use->per_token);
    if (use != nullptr && use->tokens > 1) column_bytes = std::max(column_bytes, ExpertProduct::ScratchBytes(node, use->tokens));
  }
  HEADRACE_RETURN_IF_ERROR(memory_.Prepare(column_bytes));
  if (ExpertCache* const cache = experts_.cache()) cache->BeginPass(static_cast<double>(columns_));
  Schedule(0);
  const bool loading = std::any_of(takeovers_.begin(), takeovers_.end(), [](const Takeover& takeover) {
    return std::any_of(takeover.segments.begin(), takeover.segments.end(), [](const SegmentRows& rows) { return rows.keep; });
  });
  snapshot_->state = loading ? Snapshot::kLoading : Snapshot::kStreaming;
  account_.PublishPlan(files_);
  return {};
}

void Executor::FollowAllowance() noexcept {
  try {
    if (!memory_.ExceedsAllowance()) return;
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return;
    if (const auto given = GiveBack(); !given.ok()) Fail(given.status());
  } catch (const std::exception& error) {
    LogWarning(error.what());
  }
}

// True when the plan has become smaller. Between two products, or two passes; no experts are pinned.
Result<bool> Executor::GiveBack() {
  auto given = memory_.GiveBack();
  if (given.ok() && *given) {
    account_.PublishPlan(files_);
    snapshot_->resident_bytes = weights_.resident_bytes();
  }
  return given;
}

// The rest of the pass reads what is no longer resident.
Status Executor::GiveBackWithinPass() {
  const bool pinned = std::any_of(uses_.begin(), uses_.end(), [this](const ExpertUse& use) { return use.begun && use.last >= turn_; });
  if (pinned) return {};
  const auto given = GiveBack();
  if (!given.ok()) return given.status();
  if (!*given) return {};
  Schedule(turn_);
  Announce();
  return {};
}

// Products with the same ids are of one layer.
void Executor::GroupExperts() {
  std::vector<std::vector<const Weight*>> weights;
  uses_.reserve(takeovers_.size());  // takeovers point at them
  for (size_t i = 0; i < takeovers_.size(); ++i) {
    Takeover& takeover = takeovers_[i];
    if (!takeover.weight->experts) continue;
    const ggml_tensor* ids = takeover.node->src[2];
    const auto experts = static_cast<uint32_t>(takeover.weight->tensor.ne[2]);
    size_t at = 0;
    while (at < uses_.size() && (takeovers_[uses_[at].first].node->src[2] != ids || uses_[at].experts != experts)) ++at;
    if (at == uses_.size()) {
      ExpertUse& use = uses_.emplace_back();
      use.experts = experts;
      use.per_token = ids->ne[0];
      use.tokens = ids->ne[1];
      use.first = i;
      weights.emplace_back();
    }
    uses_[at].last = i;
    takeover.experts = &uses_[at];
    takeover.slice = weights[at].size();
    weights[at].push_back(takeover.weight);
  }
  for (size_t at = 0; at < uses_.size(); ++at) {
    ExpertUse& use = uses_[at];
    use.layer = experts_.FindOrAdd(weights[at]);
    if (use.tokens != 1 || !config_.look_ahead) continue;
    use.router = FindRouter(api_, *takeovers_[use.first].node->src[2], use.experts);
    const auto router = std::find_if(takeovers_.begin(), takeovers_.end(), [&](const Takeover& t) { return t.node == use.router.product; });
    if (router != takeovers_.end()) use.router_weight = router->weight;
  }
}

// Decides what each takeover from the first on reads, as far as it is known before the routers have chosen.
void Executor::Schedule(size_t first) {
  std::vector<std::vector<SegmentRows>> next;
  SchedulePass(takeovers_, first, weights_.plan().segment_bytes, next);
  const ExpertCache* const cache = experts_.cache();
  for (ExpertUse& use : uses_) {
    if (!use.begun) use.way = ChooseWay(use.experts, use.per_token, use.tokens, cache == nullptr ? 0 : cache->slots(use.layer));
  }
  next_.clear();
  bool foreseen = true;  // all that the next pass reads
  for (size_t i = 0; i < takeovers_.size(); ++i) {
    Takeover& takeover = takeovers_[i];
    if (const ExpertUse* use = takeover.experts) {
      foreseen = foreseen && use->way != ExpertUse::Way::kOnDemand;
      const auto matrix = static_cast<uint64_t>(takeover.weight->tensor.ne[1]);
      for (uint32_t expert = 0; use->way == ExpertUse::Way::kStreamed && expert < use->experts; ++expert) {
        if (cache != nullptr && cache->Holds(use->layer, expert)) continue;
        CutSegments(*takeover.weight, expert * matrix, (expert + 1) * matrix, ExpertSegmentBytes(), false, next[i]);
      }
      if (i >= first) takeover.segments = next[i];
    }
    for (const SegmentRows& rows : next[i]) next_.push_back(SegmentOf(*takeover.weight, rows));
  }
  if (!foreseen) next_.clear();
}

// A prompt multiplies an expert in one go where the ring has room: each product gathers the columns anew.
uint64_t Executor::ExpertSegmentBytes() const {
  return std::max(weights_.plan().segment_bytes, weights_.plan().ring_bytes / 4);
}

// Checks each tensor type once. An engine that fails is left alone: its results from the mapping are right.
bool Executor::EngineCanBeCut(const Takeover& takeover) {
  const Weight& weight = *takeover.weight;
  if (!checked_.emplace(weight.tensor.type, weight.experts, weight.packed != nullptr).second) return true;
  if (weight.experts ? ExpertPiecesEqualWhole(api_, expert_multiplier_.product(), takeover.backend, weight)
                     : PiecesEqualWhole(api_, product_, takeover.backend, weight)) {
    LearnCosts(takeover);
    return true;
  }
  Fail(Status(Code::kUnsupported,
              fmt::format("this llama.cpp multiplies {} differently in pieces than whole: nothing streams, its own mapping is used",
                          api_.type_name(weight.tensor.type))));
  return false;
}

void Executor::LearnCosts(const Takeover& takeover) {
  const Weight& weight = *takeover.weight;
  if (weight.packed == nullptr || !choice_.NeedsCosts(weight.tensor.type, weight.experts)) return;
  const uint64_t start = Now();
  const auto costs = weight.experts ? MeasureExpertKernels(api_, expert_multiplier_.product(), takeover.backend, weight)
                                    : MeasureKernels(api_, product_, takeover.backend, weight);
  const int64_t from = choice_.Learn(weight.tensor.type, weight.experts, costs);
  LogDebug(fmt::format("{}{}: streamed rows are repacked {}; {}, {:.1f} ms", api_.type_name(weight.tensor.type), weight.experts ? " experts" : "",
                       from == KernelCosts::kNever ? "never" : fmt::format("from {} columns on", from),
                       costs ? costs->Describe() : "other programs keep the processor busy, nothing could be measured",
                       static_cast<double>(Now() - start) / 1e6));
}

ggml_status Executor::RunPass(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute,
                              const HostCallback& host) {
  turn_ = 0;
  Announce();
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
  uses_.clear();
  const bool complete = turn_ == takeovers_.size();
  const bool failed = !failure_.ok() || failed_compute_ != GGML_STATUS_SUCCESS || !complete;
  if (Prefetcher* const prefetcher = memory_.prefetcher(); failed && prefetcher != nullptr) prefetcher->Reset();
  if (!failure_.ok()) return Fail(failure_);
  return failed_compute_ != GGML_STATUS_SUCCESS ? failed_compute_ : status;
}

bool Executor::OnNode(ggml_tensor* node, bool ask, void* self) noexcept {
  Executor& executor = *static_cast<Executor*>(self);
  return ask ? executor.Ask(node) : executor.Answer(node);
}

bool Executor::Ask(ggml_tensor* node) {
  host_wants_ = host_.function != nullptr && host_.function(node, true, host_.user_data);
  if (turn_ == takeovers_.size()) return host_wants_;
  Takeover& takeover = takeovers_[turn_];
  if (node == takeover.before) return true;
  if (node != takeover.node) return host_wants_;

  const uint64_t start = Now();
  if (failure_.ok() && failed_compute_ == GGML_STATUS_SUCCESS) {
    try {
      if (memory_.MustGiveBack()) failure_ = GiveBackWithinPass();
      if (failure_.ok()) failure_ = Execute(takeover);
    } catch (const std::exception& error) {
      failure_ = Status(Code::kInternal, fmt::format("the pass was given up: {}", error.what()));
    }
  }
  const uint64_t end = Now();
  account_.times.takeover_ns += end - start;
  account_.Publish(end, memory_.prefetcher());
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

// Tells the prefetcher what is read from this turn on, up to the first layer whose router must choose first.
void Executor::Announce() {
  std::vector<Segment> pass;
  bool open = true;
  for (size_t i = turn_; i < takeovers_.size() && open; ++i) {
    const ExpertUse* use = takeovers_[i].experts;
    open = use == nullptr || use->begun || use->way != ExpertUse::Way::kOnDemand;
    if (!open) break;
    for (const SegmentRows& rows : takeovers_[i].segments) pass.push_back(SegmentOf(*takeovers_[i].weight, rows));
  }
  memory_.prefetcher()->Announce(std::move(pass), open ? next_ : std::vector<Segment>{});
}

// The router of a layer has chosen: reads what was chosen, and no more than what is being read already.
void Executor::AnnounceChosen(const ExpertUse& use) {
  size_t begun = memory_.prefetcher()->Hold();
  for (size_t i = turn_; i <= use.last; ++i) {
    Takeover& takeover = takeovers_[i];
    const size_t own = std::min(begun, takeover.segments.size());
    begun -= own;
    if (takeover.experts == &use) takeover.segments = NeededSegments(use, takeover, own, ExpertSegmentBytes());
  }
  Announce();
}

Status Executor::Execute(Takeover& takeover) {
  if (takeover.experts != nullptr) return ExecuteExperts(takeover);
  Weight& weight = *takeover.weight;
  if (takeover.resident_rows > weight.resident_rows) {  // an earlier product of this pass found no room to keep them
    ScheduleProduct(takeover, weights_.plan().segment_bytes);
    Announce();
  }
  Run run;
  if (takeover.resident_rows > 0) {
    run = {0, takeover.resident_rows, reinterpret_cast<uint8_t*>(weight.storage.data()), weight.packed};
    // What is resident is multiplied while the first rows arrive.
    HEADRACE_RETURN_IF_ERROR(Multiply(takeover, run, nullptr));
  }
  for (const SegmentRows& segment : takeover.segments) {
    if (failed_compute_ != GGML_STATUS_SUCCESS) return {};
    HEADRACE_RETURN_IF_ERROR(ExecuteSegment(takeover, segment, run));
  }
  return Multiply(takeover, run, nullptr);
}

// Reads what the next layer will probably choose, while this one computes and the disk would idle.
void Executor::Foresee(const Takeover& takeover) {
  const ExpertUse& use = *takeover.experts;
  if (!foresees_ || use.way != ExpertUse::Way::kCached || use.tokens != 1 || &use == &uses_.back()) return;
  ExpertUse& next = uses_[static_cast<size_t>(&use - uses_.data()) + 1];
  if (next.way != ExpertUse::Way::kCached || next.router_weight == nullptr) return;
  const uint64_t start = Now();
  next.foreseen = ForeseeExperts(product_, takeover.backend, next.router, *next.router_weight, *takeover.node->src[1],
                                 static_cast<size_t>(next.per_token));
  account_.times.kernel_ns += Now() - start;
  std::vector<ExpertName> names;
  for (const uint32_t expert : next.foreseen) names.push_back({next.layer, expert});
  experts_.cache()->DropPrefetches();
  experts_.cache()->Prefetch(names, std::numeric_limits<double>::infinity());
}

Status Executor::ExecuteExperts(Takeover& takeover) {
  ExpertUse& use = *takeover.experts;
  if (!use.begun) {
    const auto later = static_cast<size_t>(&uses_.back() - &use);
    HEADRACE_RETURN_IF_ERROR(BeginUse(use, *takeover.node->src[2], experts_.cache(), later + 1, account_.counts));
    if (trace_ != nullptr && use.tokens == 1) trace_->Write(use.layer, use.choice.experts());
    if (use.way != ExpertUse::Way::kCached) AnnounceChosen(use);
    Foresee(takeover);
  }
  const std::span scratch = memory_.scratch();
  const auto cached = expert_multiplier_.MultiplyCached(takeover, scratch, account_.times);
  if (!cached.ok()) return cached.status();
  HEADRACE_RETURN_IF_ERROR(Check(*cached, takeover));
  for (const SegmentRows& segment : takeover.segments) {
    if (failed_compute_ != GGML_STATUS_SUCCESS) return {};
    const auto arrival = Await(segment.rows * takeover.weight->cut.row_bytes);
    if (!arrival.ok()) return arrival.status();
    HEADRACE_RETURN_IF_ERROR(Check(expert_multiplier_.MultiplyStreamed(takeover, segment, arrival->data, scratch, account_.times), takeover));
    memory_.prefetcher()->Pop();
  }
  if (&takeover == &takeovers_[use.last]) {
    use.cached.Release();
    use.adopted.Release();
  }
  return {};
}

Result<Prefetcher::Arrival> Executor::Await(uint64_t bytes) {
  const uint64_t start = Now();
  auto arrival = memory_.prefetcher()->Await(bytes);
  account_.times.wait_ns += Now() - start;
  return arrival;
}

// Commits and touches the memory of rows that are to become resident. False when there is no room for them now, or for rows before
// them: they are then used as they pass by, and another pass tries again.
Result<bool> Executor::RoomToKeep(Weight& weight, const SegmentRows& segment) {
  const uint64_t row_bytes = weight.cut.row_bytes;
  if (segment.first_row > weight.resident_rows || memory_.MustGiveBack()) return false;
  HEADRACE_RETURN_IF_ERROR(weights_.Commit(weight));
  return headroom_.Touch(weight.storage.data() + segment.first_row * row_bytes, segment.rows * row_bytes);
}

// Takes the rows of one segment as they arrive. They are multiplied at once, while they are in the cores' caches; a wide batch
// first gathers rows, since each product converts the batch anew.
Status Executor::ExecuteSegment(const Takeover& takeover, const SegmentRows& segment, Run& run) {
  Weight& weight = *takeover.weight;
  const uint64_t row_bytes = weight.cut.row_bytes;
  const int64_t columns = takeover.node->ne[1];
  const bool pack = weight.packed != nullptr && choice_.PackStreamed(weight.tensor.type, columns);
  const auto room = segment.keep ? RoomToKeep(weight, segment) : false;
  if (!room.ok()) return room.status();
  const bool keep = *room;
  const PackedLayout* packed = keep || pack ? weight.packed : nullptr;

  const auto arrival = Await(segment.rows * row_bytes);
  if (!arrival.ok()) return arrival.status();
  // The arrived bytes are const; the kernels take a pointer to data that they only read.
  uint8_t* data = const_cast<uint8_t*>(arrival->data);

  const bool gather = columns >= (packed != nullptr ? kGatherPacked : kGatherPlain) && weight.cut.by_rows;
  if (keep || pack || gather) {
    uint8_t* const storage = reinterpret_cast<uint8_t*>(weight.storage.data()) + segment.first_row * row_bytes;
    const std::span scratch = memory_.scratch();
    const bool extends = run.rows > 0 && run.packed == packed && run.first_row + run.rows == segment.first_row;
    uint8_t* const behind = run.data + run.rows * row_bytes;
    uint8_t* to = keep ? storage : scratch.data();
    if (extends && !keep && run.data == scratch.data() && behind + segment.rows * row_bytes <= scratch.data() + scratch.size()) {
      to = behind;
    }
    if (!extends || to != behind) {
      HEADRACE_RETURN_IF_ERROR(Multiply(takeover, run, nullptr));
      run = {segment.first_row, 0, to, packed};
    }
    run.rows += segment.rows;
    if (packed != nullptr) account_.times.packed_bytes += segment.rows * row_bytes;
    const Move move{data, to};
    if (gather) {
      const uint64_t moving = Now();
      const Status moved = Check(product_.MoveRows(takeover.backend, weight.tensor, segment.rows, packed, move), takeover);
      account_.times.kernel_ns += Now() - moving;
      HEADRACE_RETURN_IF_ERROR(moved);
    } else {
      HEADRACE_RETURN_IF_ERROR(Multiply(takeover, run, &move));
    }
  } else {
    run = {segment.first_row, segment.rows, data, nullptr};
    HEADRACE_RETURN_IF_ERROR(Multiply(takeover, run, nullptr));
  }
  if (failed_compute_ != GGML_STATUS_SUCCESS) return {};  // the move may not have been made
  if (keep) weight.resident_rows = std::max(weight.resident_rows, segment.first_row + segment.rows);
  memory_.prefetcher()->Pop();
  return {};
}

// Multiplies what the run holds, if anything, and empties it.
Status Executor::Multiply(const Takeover& takeover, Run& run, const Move* move) {
  if (run.rows == 0 || failed_compute_ != GGML_STATUS_SUCCESS) return {};
  const uint64_t start = Now();
  const ggml_status status =
      product_.Multiply(takeover.backend, *takeover.node, run.first_row, run.rows, run.data, run.packed, move);
  account_.times.kernel_ns += Now() - start;
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
  if (Prefetcher* const prefetcher = memory_.prefetcher()) prefetcher->Reset();
  if (!weights_.Any(address, bytes)) return;
  uses_.clear();  // their pins, before the cache goes
  takeovers_.clear();
  files_.clear();
  experts_.Clear();
  weights_.Remove(address, bytes);
  if (!weights_.empty()) return;
  memory_.Clear();
  snapshot_->state = Snapshot::kPassive;
}

void Executor::Leave() noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock.owns_lock()) experts_.Save();
}

void Executor::Account(uint64_t wall_ns) {
  const bool largest = takeovers_.front().weight->origin.model == weights_.Largest()->origin.model;
  PassAccount::Pass pass{columns_, largest, wall_ns, 0, multiplied_bytes_, product_.move_ns() + expert_multiplier_.pack_ns()};
  for (const Takeover& takeover : takeovers_) {
    for (const SegmentRows& rows : takeover.segments) pass.streamed_bytes += rows.rows * takeover.weight->cut.row_bytes;
  }
  const uint64_t read_by_cache = account_.Finish(pass, choice_);
  if (account_.counts.chosen > 0) foresees_ = read_by_cache > 0;
}

}  // namespace headrace
