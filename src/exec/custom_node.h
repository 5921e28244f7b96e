// A node of a small graph that runs a function of ours on all threads of the backend.
#pragma once

#include "exec/ggml_api.h"

namespace headrace {

// `function(node, thread, threads, argument)`. The node's result is never used; it has memory all the same.
ggml_tensor* NewCustomNode(const GgmlApi& api, ggml_context* context, ggml_custom_op_t function, void* argument);

}  // namespace headrace
