#include "exec/callback_pass.h"

#include <exception>

#include "base/clock.h"
#include "exec/pass_failure.h"

namespace headrace {

Status CallbackPass::Run(ggml_backend_sched_t sched, ggml_cgraph* graph, ComputeFunction compute,
                         const HostCallback& host, ggml_status& status) {
  host_ = host;
  host_wants_ = false;
  lookup_ = 0;
  taken_ = nullptr;
  asked_ = nullptr;
  failure_ = {};
  resident_.clear();
  api_.backend_sched_set_eval_callback(sched, &CallbackPass::OnNode, this);
  status = compute(sched, graph);
  api_.backend_sched_set_eval_callback(sched, host.function, host.user_data);
  changes_.RestoreAll();
  if (failure_.ok()) failure_ = status == GGML_STATUS_SUCCESS ? uploads_.End(nullptr) : uploads_.failure();
  return failure_;
}

bool CallbackPass::OnNode(ggml_tensor* node, bool ask, void* self) noexcept {
  CallbackPass& pass = *static_cast<CallbackPass*>(self);
  return ask ? pass.Ask(node) : pass.Answer(node);
}

// Whether the node is the last one before one of ours.
bool CallbackPass::IsBefore(const ggml_tensor* node) const {
  const auto& lookups = pass_.plan.lookups;
  const Takeover* const next = pass_.next();
  return (next != nullptr && !next->upload && next->before == node) ||
         (lookup_ < lookups.size() && lookups[lookup_].before == node);
}

// It has been computed here.
bool CallbackPass::LeaveOut(ggml_tensor* node) {
  taken_ = node;
  changes_.LeaveOut(node);
  return true;
}

bool CallbackPass::Ask(ggml_tensor* node) {
  host_wants_ = host_.function != nullptr && host_.function(node, true, host_.user_data);
  const ggml_tensor* const before = std::exchange(asked_, node);
  const auto& lookups = pass_.plan.lookups;
  const Lookup* const lookup = lookup_ < lookups.size() && lookups[lookup_].node == node ? &lookups[lookup_] : nullptr;
  if (const Status& ended = uploads_.End(node); failure_.ok()) failure_ = ended;
  Takeover* const next = pass_.next();
  Takeover* const takeover = next != nullptr && next->node == node ? next : nullptr;
  if (lookup == nullptr && takeover == nullptr) return host_wants_ || IsBefore(node);

  const uint64_t start = Now();
  if (failure_.ok()) {
    try {
      const bool in_order = before == (lookup != nullptr ? lookup->before : takeover->before);
      failure_ = !in_order ? OtherOrder() : lookup != nullptr ? LookUp(*lookup) : Execute(*takeover);
    } catch (const std::exception& error) {
      failure_ = GivenUp(error);
    }
  }
  const uint64_t end = Now();
  pass_.account().times.takeover_ns += end - start;
  pass_.account().Publish(end);
  if (lookup != nullptr) {
    ++lookup_;
    return LeaveOut(node);
  }
  pass_.EndTurn(*takeover);
  // The engine computes it by itself; at once, where another one of ours comes next.
  if (takeover->by_engine && failure_.ok()) return host_wants_ || IsBefore(node);
  return LeaveOut(node);
}

// After a failure the rest of the split is left out: nothing is computed from what the failed product has left.
bool CallbackPass::Answer(ggml_tensor* node) {
  if (node == taken_) {
    changes_.Restore(node);
    taken_ = nullptr;
  }
  const bool wanted = std::exchange(host_wants_, false);
  const bool goes_on = !wanted || host_.function(node, false, host_.user_data);
  return goes_on && failure_.ok() && uploads_.failure().ok();
}

Status CallbackPass::LookUp(const Lookup& lookup) {
  return pass_.memory().rows().LookUp(lookup, lookup.backend, pass_.account().times);
}

Status CallbackPass::Execute(Takeover& takeover) {
  bool changed = false;
  HEADRACE_RETURN_IF_ERROR(pass_.BeginTurn(takeover, changed));
  if (takeover.experts != nullptr) return ExecuteExperts(takeover);
  takeover.by_engine = takeover.resident() && !takeover.elsewhere && !dense_.PacksResident(takeover);
  if (!takeover.by_engine) return dense_.Multiply(takeover);
  changes_.UseWeight(takeover.node, &resident_.emplace_back(takeover.weight->Resident(api_)));
  return {};
}

Status CallbackPass::ExecuteExperts(Takeover& takeover) {
  ExpertUse& use = *takeover.experts;
  PassTimes& times = pass_.account().times;
  if (!use.begun) {
    HEADRACE_RETURN_IF_ERROR(pass_.BeginExperts(takeover));
    const uint64_t start = Now();
    ExpertUse* const next = pass_.BeginForesight(use, 1, foresight_);
    if (next != nullptr && foresight_.Multiply(0, dense_.product(), takeover.backend) == GGML_STATUS_SUCCESS)
      pass_.ReadForeseen(*next, foresight_);
    times.kernel_ns += Now() - start;
  }
  const std::span scratch = pass_.memory().scratch();
  HEADRACE_RETURN_IF_ERROR(experts_.MultiplyCached(takeover, scratch, times));
  for (size_t i = 0; i < takeover.segments.size(); ++i) {
    const SegmentRows& segment = takeover.segments[i];
    const auto arrival = pass_.Await(takeover, i, segment.rows * takeover.weight->cut.row_bytes, times.wait_ns);
    if (!arrival.ok()) return arrival.status();
    HEADRACE_RETURN_IF_ERROR(
        CheckProduct(experts_.MultiplyStreamed(takeover, segment, arrival->data, scratch, times), *takeover.weight));
    pass_.prefetcher().Release(takeover.first_segment + i);
  }
  return {};
}

}  // namespace headrace
