#include "exec/custom_node.h"

namespace headrace {

ggml_tensor* NewCustomNode(const GgmlApi& api, ggml_context* context, ggml_custom1_op_t function, void* argument) {
  static float unused[4];
  ggml_tensor* source = api.new_tensor_2d(context, GGML_TYPE_F32, 4, 1);
  source->data = unused;
  ggml_tensor* node = api.map_custom1(context, source, function, GGML_N_TASKS_MAX, argument);
  node->data = unused;
  node->flags |= api.compute_flag;
  return node;
}

}  // namespace headrace
