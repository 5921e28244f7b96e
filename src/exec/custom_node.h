// A node of a small graph that runs a function of ours on all threads of the backend.
#pragma once

#include "exec/ggml_api.h"

namespace headrace {

// `function(node, source, thread, threads, argument)`. The node's source and result are never used; they have memory
// all the same. The context needs room for two tensors. An operation that every release has.
ggml_tensor* NewCustomNode(const GgmlApi& api, ggml_context* context, ggml_custom1_op_t function, void* argument);

}  // namespace headrace
