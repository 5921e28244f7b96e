#include "exec/graph_pass.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include "base/clock.h"
#include "exec/custom_node.h"
#include "exec/pass_failure.h"

namespace headrace {
namespace {

// Batches of at most so many columns. In wider ones each thread's conversion of all columns, which a team shares,
// counts (docs/architecture.md).
constexpr int64_t kMostColumns = 8;

// Of the router of the layer that is foreseen: shared by the engine's threads.
constexpr size_t kRouterPieces = 8;

constexpr size_t kNodesInContext = 64;

}  // namespace

GraphPass::GraphPass(const GgmlApi& api, RunningPass& pass, const KernelChoice& choice, Workers& workers)
    : api_(api), pass_(pass), workers_(workers), tiles_(pass, choice), experts_(api, pass, choice, changes_) {}

GraphPass::~GraphPass() {
  for (ggml_context* context : contexts_) api_.free(context);
}

bool GraphPass::Fits(ggml_backend_sched_t sched, ggml_cgraph* graph) {
  if (pass_.plan.columns > kMostColumns) return false;
  if (std::any_of(pass_.plan.takeovers.begin(), pass_.plan.takeovers.end(),
                  [](const Takeover& takeover) { return takeover.elsewhere || takeover.upload; }))
    return false;
  return experts_.Fit(sched, graph);
}

ggml_tensor& GraphPass::FunctionOf(std::deque<Call>& calls, size_t index, ggml_custom1_op_t function) {
  while (calls.size() <= index) {
    if (functions_++ % kNodesInContext == 0)
      contexts_.push_back(api_.init({(2 * kNodesInContext + 2) * api_.tensor_overhead(), nullptr, true}));
    Call& call = calls.emplace_back(Call{this, calls.size(), nullptr});
    call.function = NewCustomNode(api_, contexts_.back(), function, &call);
  }
  return *calls[index].function;
}

// Whether this turn's product is the first of a layer for which no node before it is free.
bool GraphPass::BeginsLayer(size_t turn) const {
  const ExpertUse* const use = pass_.plan.takeovers[turn].experts;
  return use != nullptr && turn == use->first && experts_.free_node(experts_.layer_of(*use)) == nullptr;
}

// Makes the nodes of all turns from this one on what the schedule says.
void GraphPass::Change(size_t from) {
  for (size_t turn = from; turn < pass_.plan.takeovers.size(); ++turn) {
    Takeover& takeover = pass_.plan.takeovers[turn];
    if (const ExpertUse* const use = takeover.experts) {
      if (turn != use->first || use->begun) continue;
      experts_.Prepare(experts_.layer_of(*use), kRouterPieces);
      if (!BeginsLayer(turn)) continue;
      takeover.by_engine = false;
      changes_.Replace(takeover.node, FunctionOf(products_, turn, &GraphPass::OnProduct));
      continue;
    }
    changes_.Restore(takeover.node);
    takeover.by_engine = takeover.resident();
    if (takeover.by_engine) {
      changes_.UseWeight(takeover.node, &resident_.emplace_back(takeover.weight->Resident(api_)));
    } else {
      changes_.Replace(takeover.node, FunctionOf(products_, turn, &GraphPass::OnProduct));
    }
  }
}

// Turns of products that the engine computes by itself.
void GraphPass::SkipTurns(size_t end) {
  while (pass_.turn() < end && pass_.plan.takeovers[pass_.turn()].by_engine)
    pass_.EndTurn(pass_.plan.takeovers[pass_.turn()]);
}

Status GraphPass::Run(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute, ggml_status& status) {
  graph_ = graph;
  failure_ = {};
  entered_ = left_ = 0;
  ready_ = false;
  resident_.clear();
  gives_back_at_ = SIZE_MAX;
  Change(0);
  for (size_t layer = 0; layer < experts_.layers(); ++layer) {
    if (ggml_tensor* const free = experts_.free_node(layer))
      changes_.Replace(free, FunctionOf(choices_, layer, &GraphPass::OnChoice));
  }
  for (size_t i = 0; i < pass_.plan.lookups.size(); ++i) {
    changes_.Replace(pass_.plan.lookups[i].node, FunctionOf(lookups_, i, &GraphPass::OnLookup));
  }
  status = compute(sched, graph);
  changes_.RestoreAll();
  if (failure_.ok() && status == GGML_STATUS_SUCCESS) SkipTurns(pass_.plan.takeovers.size());
  return failure_;
}

void GraphPass::OnProduct(ggml_tensor* node, const ggml_tensor*, int thread, int threads, void* argument) {
  const Call& call = *static_cast<Call*>(argument);
  call.pass->Compute(node, call.index, thread, threads);
}

void GraphPass::OnChoice(ggml_tensor*, const ggml_tensor*, int thread, int, void* argument) {
  const Call& call = *static_cast<Call*>(argument);
  call.pass->Choose(call.index, thread);
}

// The ids of a layer's experts are there: the first thread has what is absent read, the others look at the next layer
// meanwhile.
void GraphPass::Choose(size_t layer, int thread) noexcept {
  try {
    Worker* const worker = workers_.Of(thread);
    if (thread == 0) {
      const std::lock_guard lock(mutex_);
      const uint64_t start = Now();
      if (failure_.ok()) failure_ = BeginLayer(layer);
      if (!failure_.ok()) return StopGraph(experts_.begins_at(layer));
      pass_.account().times.takeover_ns += Now() - start;
    }
    LookAhead(layer, thread, worker);
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    if (failure_.ok()) failure_ = GivenUp(error);
    StopGraph(experts_.begins_at(layer));
  }
}

void GraphPass::LookAhead(size_t layer, int thread, Worker* worker) {
  if (gives_back_at_ != layer) experts_.LookAhead(layer, thread, worker);
}

Status GraphPass::BeginLayer(size_t layer) {
  const size_t first = pass_.plan.uses[layer].first;
  SkipTurns(first);
  if (pass_.plan.takeovers[pass_.turn()].at < experts_.begins_at(layer)) return OtherOrder();
  if (gives_back_at_ == layer) {
    bool changed = false;
    if (pass_.turn() == first) HEADRACE_RETURN_IF_ERROR(pass_.BeginTurn(pass_.plan.takeovers[first], changed));
    if (changed)
      Change(BeginsLayer(first) ? first + 1
                                : first);  // other threads may be about to look at the node that is computed
  } else if (pass_.memory().MustGiveBack()) {
    gives_back_at_ = layer + 1;  // not here, where the others read a router that may go
  }
  std::vector<size_t> late;
  HEADRACE_RETURN_IF_ERROR(experts_.Begin(layer, late));
  for (const size_t turn : late) {
    Takeover& takeover = pass_.plan.takeovers[turn];
    takeover.by_engine = false;
    changes_.Replace(takeover.node, FunctionOf(products_, turn, &GraphPass::OnProduct));
  }
  return {};
}

void GraphPass::OnLookup(ggml_tensor* node, const ggml_tensor*, int thread, int, void* argument) {
  const Call& call = *static_cast<Call*>(argument);
  if (thread == 0) call.pass->LookUp(node, call.index);
}

// Few rows: one thread is quicker than two that share them. The others wait for it before the next node.
void GraphPass::LookUp(ggml_tensor* node, size_t index) noexcept {
  const std::lock_guard lock(mutex_);
  if (!failure_.ok()) return;
  const uint64_t start = Now();
  const Lookup& lookup = pass_.plan.lookups[index];
  Status status = lookup.node == node ? Status() : OtherOrder();
  try {
    Worker* const worker = workers_.Of(0);
    if (worker == nullptr) status = Status(Code::kInternal, "ggml made no backend");
    if (status.ok()) status = pass_.memory().rows().LookUp(lookup, worker->backend(), pass_.account().times);
  } catch (const std::exception& error) {
    status = GivenUp(error);
  }
  const uint64_t end = Now();
  pass_.account().times.takeover_ns += end - start;
  pass_.account().Publish(end);
  if (status.ok()) return;
  failure_ = status;
  std::memset(node->data, 0, api_.nbytes(node));
  StopGraph(lookup.at);
}

// The first thread that comes prepares the work, all share it, the last one that leaves ends the turn. Those that come
// later wait at the mutex.
void GraphPass::Compute(ggml_tensor* node, size_t turn, int thread, int threads) noexcept {
  Status status;
  uint64_t wait_ns = 0;
  Worker* worker = nullptr;
  {
    const std::lock_guard lock(mutex_);
    try {
      worker = workers_.Of(thread);
      if (worker == nullptr && thread == 0) status = Status(Code::kInternal, "ggml made no backend");
      if (entered_++ == 0 && status.ok()) status = Begin(node, turn, threads);
    } catch (const std::exception& error) {
      status = GivenUp(error);
    }
    if (!status.ok() && failure_.ok()) failure_ = status;
  }
  if (ready_ && status.ok() && worker != nullptr) {
    try {
      const Takeover& takeover = pass_.plan.takeovers[turn];
      if (BeginsLayer(turn)) LookAhead(experts_.layer_of(*takeover.experts), thread, worker);
      status = takeover.experts == nullptr ? tiles_.Work(thread, *worker, wait_ns)
                                           : experts_.Work(takeover, thread, threads, *worker, wait_ns);
    } catch (const std::exception& error) {
      status = GivenUp(error);
    }
  }
  const std::lock_guard lock(mutex_);
  if (!status.ok() && failure_.ok()) failure_ = status;
  const uint64_t now = Now();
  if (thread == 0) {
    pass_.account().times.wait_ns += wait_ns;
    pass_.account().times.kernel_ns += now - began_at_ - std::min(now - began_at_, wait_ns);
  }
  if (++left_ == threads) End(node, now);
}

Status GraphPass::Begin(ggml_tensor* node, size_t turn, int threads) {
  began_at_ = Now();
  ready_ = false;
  if (!failure_.ok()) return {};
  SkipTurns(turn);
  if (pass_.turn() != turn || pass_.plan.takeovers[turn].node != node) return OtherOrder();
  Takeover& takeover = pass_.plan.takeovers[turn];
  if (BeginsLayer(turn)) HEADRACE_RETURN_IF_ERROR(BeginLayer(experts_.layer_of(*takeover.experts)));
  bool changed = false;
  HEADRACE_RETURN_IF_ERROR(pass_.BeginTurn(takeover, changed));
  if (changed) Change(turn + 1);
  takeover.experts == nullptr ? tiles_.Begin(takeover, threads) : experts_.BeginWork(takeover, threads);
  ready_ = true;
  return {};
}

void GraphPass::End(ggml_tensor* node, uint64_t now) {
  entered_ = left_ = 0;
  pass_.account().times.takeover_ns += now - began_at_;
  const size_t turn = std::min(pass_.turn(), pass_.plan.takeovers.size() - 1);
  Takeover& takeover = pass_.plan.takeovers[turn];
  if (failure_.ok()) {
    if (takeover.experts == nullptr) tiles_.End();
    pass_.EndTurn(takeover);
    if (takeover.experts != nullptr) experts_.EndWork(takeover);
  } else {
    if (takeover.experts != nullptr && ready_) experts_.GiveUpWork(takeover);
    std::memset(node->data, 0, api_.nbytes(node));
    StopGraph(takeover.at);
  }
  pass_.account().Publish(now);
}

// Nothing is computed from what a failed product has left. The engine's threads are all here: none looks at a later
// node.
void GraphPass::StopGraph(int after) {
  const int nodes = api_.graph_n_nodes(graph_);
  for (int i = after + 1; i < nodes; ++i) changes_.LeaveOut(api_.graph_node(graph_, i));
}

}  // namespace headrace
