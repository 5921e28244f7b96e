#include "exec/kv_pass.h"

#include <algorithm>

namespace headrace {

KvPass::~KvPass() {
  for (const auto& [node, op] : left_out_) node->op = op;
}

bool KvPass::OnNode(ggml_tensor* node, bool ask, void* self) noexcept {
  KvPass& pass = *static_cast<KvPass*>(self);
  return ask ? pass.Ask(node) : pass.Answer(node);
}

bool KvPass::Ask(ggml_tensor* node) {
  host_wants_ = host_.function != nullptr && host_.function(node, true, host_.user_data);
  if (turn_ == uses_.size()) return host_wants_;
  const KvUse& use = uses_[turn_];
  // Where the layer is still on its way, what comes before it is computed meanwhile.
  if (node == use.before) return host_wants_ || !pager_.Loaded(turn_);
  if (std::find(use.nodes.begin(), use.nodes.end(), node) == use.nodes.end()) return host_wants_;
  if (failure_.ok()) failure_ = pager_.Await(turn_);
  if (!failure_.ok()) {
    left_out_.emplace_back(node, node->op);
    node->op = GGML_OP_NONE;
  }
  return host_wants_ || node == use.nodes.back();
}

bool KvPass::Answer(ggml_tensor* node) {
  if (turn_ < uses_.size() && node == uses_[turn_].nodes.back()) {
    pager_.Release();
    ++turn_;
  }
  const bool wanted = host_wants_;
  host_wants_ = false;
  return !wanted || host_.function(node, false, host_.user_data);
}

}  // namespace headrace
