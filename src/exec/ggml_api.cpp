#include "exec/ggml_api.h"

#include <cstring>
#include <string>

#include <fmt/format.h>

namespace headrace {
namespace {

// ggml keeps each tensor behind a header of its own; ggml_tensor_overhead() is the sum of both.
constexpr size_t kObjectHeaderBytes = 32;

// What headrace relies on beyond the functions' names: the layout of the public struct and the numbers
// of the enumerators that it writes or compares.
Status CheckLayout(const GgmlApi& api) {
  const size_t expected = sizeof(ggml_tensor) + kObjectHeaderBytes;
  if (api.tensor_overhead() != expected) {
    return Status(Code::kUnsupported, fmt::format("its ggml_tensor has {} bytes, headrace was built for {}",
                                                  api.tensor_overhead() - kObjectHeaderBytes, sizeof(ggml_tensor)));
  }
  for (const auto& [op, name] : {std::pair{GGML_OP_MUL_MAT, "MUL_MAT"}, {GGML_OP_CUSTOM, "CUSTOM"}, {GGML_OP_NONE, "NONE"},
                                {GGML_OP_VIEW, "VIEW"}, {GGML_OP_RESHAPE, "RESHAPE"}, {GGML_OP_PERMUTE, "PERMUTE"},
                                {GGML_OP_TRANSPOSE, "TRANSPOSE"}, {GGML_OP_SET_ROWS, "SET_ROWS"}}) {
    if (std::strcmp(api.op_name(op), name) != 0) {
      return Status(Code::kUnsupported, fmt::format("its operation {} is {}, not {}", static_cast<int>(op), api.op_name(op), name));
    }
  }
  ggml_context* context = api.init({4096, nullptr, true});
  if (context == nullptr) return Status(Code::kUnsupported, "it cannot make a ggml context");
  const ggml_tensor* probe = api.new_tensor_2d(context, GGML_TYPE_F32, 6, 5);
  const bool same = probe->type == GGML_TYPE_F32 && probe->ne[0] == 6 && probe->ne[1] == 5 && probe->ne[3] == 1 &&
                    probe->nb[1] == 24 && probe->nb[3] == 120 && probe->op == GGML_OP_NONE && probe->data == nullptr;
  api.free(context);
  if (!same) return Status(Code::kUnsupported, "its ggml_tensor has other fields than headrace was built for");
  return {};
}

}  // namespace

Result<GgmlApi> LoadGgmlApi(const std::function<void*(const char*)>& find) {
  GgmlApi api{};
  std::string missing;
  const auto load = [&](auto& pointer, const char* name) {
    pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(find(name));
    if (pointer == nullptr && missing.empty()) missing = name;
  };
#define HEADRACE_LOAD(name) load(api.name, "ggml_" #name)
  HEADRACE_LOAD(tensor_overhead);
  HEADRACE_LOAD(op_name);
  HEADRACE_LOAD(type_name);
  HEADRACE_LOAD(nbytes);
  HEADRACE_LOAD(row_size);
  HEADRACE_LOAD(type_size);
  HEADRACE_LOAD(get_first_tensor);
  HEADRACE_LOAD(get_next_tensor);
  HEADRACE_LOAD(init);
  HEADRACE_LOAD(free);
  HEADRACE_LOAD(new_tensor_2d);
  HEADRACE_LOAD(custom_4d);
  HEADRACE_LOAD(map_custom1);
  HEADRACE_LOAD(new_graph_custom);
  HEADRACE_LOAD(graph_clear);
  HEADRACE_LOAD(graph_add_node);
  HEADRACE_LOAD(graph_n_nodes);
  HEADRACE_LOAD(graph_node);
  HEADRACE_LOAD(backend_free);
  HEADRACE_LOAD(backend_get_device);
  HEADRACE_LOAD(backend_dev_init);
  HEADRACE_LOAD(backend_dev_by_type);
  HEADRACE_LOAD(backend_dev_type);
  HEADRACE_LOAD(backend_dev_backend_reg);
  HEADRACE_LOAD(backend_reg_get_proc_address);
  HEADRACE_LOAD(backend_dev_supports_op);
  HEADRACE_LOAD(backend_graph_compute);
  HEADRACE_LOAD(backend_sched_get_n_backends);
  HEADRACE_LOAD(backend_sched_get_backend);
  HEADRACE_LOAD(backend_sched_get_tensor_backend);
  HEADRACE_LOAD(backend_sched_set_eval_callback);
  HEADRACE_LOAD(backend_buft_name);
  HEADRACE_LOAD(backend_buft_alloc_buffer);
  HEADRACE_LOAD(backend_buffer_get_alloc_size);
  HEADRACE_LOAD(backend_buffer_init_tensor);
  HEADRACE_LOAD(backend_buffer_get_size);
  HEADRACE_LOAD(backend_buffer_free);
  HEADRACE_LOAD(backend_buffer_is_host);
  HEADRACE_LOAD(backend_tensor_set);
  HEADRACE_LOAD(backend_tensor_alloc);
  HEADRACE_LOAD(backend_view_init);
  HEADRACE_LOAD(backend_cpu_buffer_type);
  HEADRACE_LOAD(backend_cpu_buffer_from_ptr);
#undef HEADRACE_LOAD
  if (!missing.empty()) return Status(Code::kUnsupported, "it has no function " + missing);
  HEADRACE_RETURN_IF_ERROR(CheckLayout(api));
  return api;
}

}  // namespace headrace
