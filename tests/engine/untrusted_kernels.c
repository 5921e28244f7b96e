/* Preloaded as libggml-base.so.0, in front of the real one: its products of a type (PIECES_DIFFER=q4_0) depend on how
 * many rows are multiplied together, when headrace asks. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "ggml-backend.h"

typedef enum ggml_status (*Compute)(ggml_backend_t, struct ggml_cgraph*);

__attribute__((visibility("default"))) enum ggml_status ggml_backend_graph_compute(ggml_backend_t backend,
                                                                                   struct ggml_cgraph* graph) {
  const enum ggml_status status = ((Compute)dlsym(RTLD_NEXT, "ggml_backend_graph_compute"))(backend, graph);
  const char* type = getenv("PIECES_DIFFER");
  Dl_info caller;
  if (type == NULL || dladdr(__builtin_return_address(0), &caller) == 0 ||
      strstr(caller.dli_fname, "libheadrace") == NULL)
    return status;
  for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
    struct ggml_tensor* node = ggml_graph_node(graph, i);
    if (strcmp(ggml_op_name(node->op), "MUL_MAT") != 0 || strcmp(ggml_type_name(node->src[0]->type), type) != 0)
      continue;
    ((float*)node->data)[0] += (float)node->ne[0];
  }
  return status;
}
