// Changes to nodes of the engine's graph that last no longer than a pass: the engine uses its graphs again.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "exec/ggml_api.h"

namespace headrace {

// A node may be changed while others are computed, but not from another thread than one that computes.
class NodeChanges {
 public:
  NodeChanges() = default;
  ~NodeChanges() { RestoreAll(); }
  NodeChanges(const NodeChanges&) = delete;
  NodeChanges& operator=(const NodeChanges&) = delete;

  // The node computes nothing.
  void LeaveOut(ggml_tensor* node);
  // The node computes what `function` does: a custom node made by the engine, whose sources are not used.
  void Replace(ggml_tensor* node, const ggml_tensor& function);
  // The node's weight is `weight`, which lives until it is restored.
  void UseWeight(ggml_tensor* node, ggml_tensor* weight);
  // The same of a MUL_MAT_ID node, whose ids are those of matrices of that weight.
  void UseWeight(ggml_tensor* node, ggml_tensor* weight, ggml_tensor* ids);
  void Restore(ggml_tensor* node);
  void RestoreAll();

 private:
  struct Saved {
    ggml_op op;
    int32_t op_params[GGML_MAX_OP_PARAMS / sizeof(int32_t)];
    ggml_tensor *weight, *ids;
  };
  void Save(ggml_tensor* node);
  static void Return(ggml_tensor* node, const Saved& saved);

  std::unordered_map<ggml_tensor*, Saved> saved_;
};

}  // namespace headrace
