// ggml's public functions, as found in the process that the library was loaded into. The library links
// none of them: a program that opens llama.cpp with dlopen and local scope keeps them to itself, so they
// are looked up through the caller (hook/engine_symbols.h).
#pragma once

#include <functional>

#include "base/status.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml.h"

namespace headrace {

// One pointer for each function, under the function's own name without its prefix "ggml_".
struct GgmlApi {
  decltype(&::ggml_tensor_overhead) tensor_overhead;
  decltype(&::ggml_op_name) op_name;
  decltype(&::ggml_type_name) type_name;
  decltype(&::ggml_nbytes) nbytes;
  decltype(&::ggml_row_size) row_size;
  decltype(&::ggml_type_size) type_size;
  decltype(&::ggml_get_first_tensor) get_first_tensor;
  decltype(&::ggml_get_next_tensor) get_next_tensor;
  decltype(&::ggml_init) init;
  decltype(&::ggml_free) free;
  decltype(&::ggml_new_tensor_2d) new_tensor_2d;
  decltype(&::ggml_custom_4d) custom_4d;
  decltype(&::ggml_map_custom1) map_custom1;
  decltype(&::ggml_new_graph_custom) new_graph_custom;
  decltype(&::ggml_graph_clear) graph_clear;
  decltype(&::ggml_graph_add_node) graph_add_node;
  decltype(&::ggml_graph_n_nodes) graph_n_nodes;
  decltype(&::ggml_graph_node) graph_node;
  decltype(&::ggml_backend_free) backend_free;
  decltype(&::ggml_backend_get_device) backend_get_device;
  decltype(&::ggml_backend_dev_init) backend_dev_init;
  decltype(&::ggml_backend_dev_by_type) backend_dev_by_type;
  decltype(&::ggml_backend_dev_type) backend_dev_type;
  decltype(&::ggml_backend_dev_backend_reg) backend_dev_backend_reg;
  decltype(&::ggml_backend_reg_get_proc_address) backend_reg_get_proc_address;
  decltype(&::ggml_backend_dev_supports_op) backend_dev_supports_op;
  decltype(&::ggml_backend_graph_compute) backend_graph_compute;
  decltype(&::ggml_backend_sched_get_n_backends) backend_sched_get_n_backends;
  decltype(&::ggml_backend_sched_get_backend) backend_sched_get_backend;
  decltype(&::ggml_backend_sched_get_tensor_backend) backend_sched_get_tensor_backend;
  decltype(&::ggml_backend_sched_set_eval_callback) backend_sched_set_eval_callback;
  decltype(&::ggml_backend_buft_name) backend_buft_name;
  decltype(&::ggml_backend_buft_alloc_buffer) backend_buft_alloc_buffer;
  decltype(&::ggml_backend_buffer_get_alloc_size) backend_buffer_get_alloc_size;
  decltype(&::ggml_backend_buffer_init_tensor) backend_buffer_init_tensor;
  decltype(&::ggml_backend_buffer_get_size) backend_buffer_get_size;
  decltype(&::ggml_backend_buffer_free) backend_buffer_free;
  decltype(&::ggml_backend_buffer_is_host) backend_buffer_is_host;
  decltype(&::ggml_backend_tensor_set) backend_tensor_set;
  decltype(&::ggml_backend_tensor_alloc) backend_tensor_alloc;
  decltype(&::ggml_backend_view_init) backend_view_init;
  decltype(&::ggml_backend_cpu_buffer_type) backend_cpu_buffer_type;
  decltype(&::ggml_backend_cpu_buffer_from_ptr) backend_cpu_buffer_from_ptr;
};

// Looks every function up with `find` (which returns null for an unknown name) and checks that this
// engine's ggml_tensor, operations and types are those that headrace was compiled for. Errors:
// kUnsupported, naming what is missing or differs; the library must then stay passive.
Result<GgmlApi> LoadGgmlApi(const std::function<void*(const char*)>& find);

}  // namespace headrace
