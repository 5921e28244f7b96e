#include "exec/node_changes.h"

#include <cstring>

namespace headrace {

void NodeChanges::Save(ggml_tensor* node) {
  const auto [saved, added] = saved_.try_emplace(node);
  if (!added) return;
  saved->second.op = node->op;
  std::memcpy(saved->second.op_params, node->op_params, sizeof node->op_params);
  saved->second.weight = node->src[0];
  saved->second.ids = node->src[2];
}

void NodeChanges::LeaveOut(ggml_tensor* node) {
  Save(node);
  node->op = GGML_OP_NONE;
}

void NodeChanges::Replace(ggml_tensor* node, const ggml_tensor& function) {
  Save(node);
  node->op = function.op;
  std::memcpy(node->op_params, function.op_params, sizeof node->op_params);
}

void NodeChanges::UseWeight(ggml_tensor* node, ggml_tensor* weight) {
  Save(node);
  node->src[0] = weight;
}

void NodeChanges::UseWeight(ggml_tensor* node, ggml_tensor* weight, ggml_tensor* ids) {
  UseWeight(node, weight);
  node->src[2] = ids;
}

void NodeChanges::Return(ggml_tensor* node, const Saved& saved) {
  node->op = saved.op;
  std::memcpy(node->op_params, saved.op_params, sizeof node->op_params);
  node->src[0] = saved.weight;
  node->src[2] = saved.ids;
}

void NodeChanges::Restore(ggml_tensor* node) {
  const auto saved = saved_.find(node);
  if (saved == saved_.end()) return;
  Return(node, saved->second);
  saved_.erase(saved);
}

void NodeChanges::RestoreAll() {
  for (const auto& [node, saved] : saved_) Return(node, saved);
  saved_.clear();
}

}  // namespace headrace
