// The functions of ggml that headrace calls, by what needs them. Releases have more or fewer: without the first
// group nothing streams, without another one its feature is off. One list for the library, which looks them up
// (exec/ggml_api.h), and for the command, which looks at engines that are not loaded.
#pragma once

#include <array>
#include <span>

#define HEADRACE_GGML_STREAMING(X)     \
  X(tensor_overhead)                   \
  X(op_name)                           \
  X(type_name)                         \
  X(nbytes)                            \
  X(row_size)                          \
  X(init)                              \
  X(free)                              \
  X(new_tensor_2d)                     \
  X(view_1d)                           \
  X(set_input)                         \
  X(set_name)                          \
  X(mul_mat)                           \
  X(map_custom1)                       \
  X(new_graph_custom)                  \
  X(build_forward_expand)              \
  X(graph_clear)                       \
  X(graph_add_node)                    \
  X(graph_n_nodes)                     \
  X(graph_node)                        \
  X(backend_free)                      \
  X(backend_get_device)                \
  X(backend_dev_init)                  \
  X(backend_dev_by_type)               \
  X(backend_dev_type)                  \
  X(backend_dev_backend_reg)           \
  X(backend_reg_get_proc_address)      \
  X(backend_buffer_is_host)            \
  X(backend_graph_compute)             \
  X(backend_sched_graph_compute)       \
  X(backend_sched_graph_compute_async) \
  X(backend_sched_get_n_backends)      \
  X(backend_sched_get_backend)         \
  X(backend_sched_get_tensor_backend)  \
  X(backend_sched_set_eval_callback)

#define HEADRACE_GGML_PACKING(X)   \
  X(backend_dev_supports_op)       \
  X(backend_buft_name)             \
  X(backend_buft_alloc_buffer)     \
  X(backend_buffer_get_alloc_size) \
  X(backend_buffer_init_tensor)    \
  X(backend_buffer_free)           \
  X(backend_tensor_set)

#define HEADRACE_GGML_KV_FILES(X) \
  X(type_size)                    \
  X(get_first_tensor)             \
  X(get_next_tensor)              \
  X(backend_buffer_get_size)      \
  X(backend_tensor_alloc)         \
  X(backend_view_init)            \
  X(backend_cpu_buffer_type)      \
  X(backend_cpu_buffer_from_ptr)

#define HEADRACE_GGML_FORESIGHT(X) X(sigmoid)

#define HEADRACE_GGML_DEVICES(X) \
  X(backend_buffer_name)         \
  X(backend_synchronize)         \
  X(backend_tensor_get)

namespace headrace {

// What an engine without some function lacks, as the subject of "... is off".
inline constexpr const char* kPackingFeature = "repacking of weights that stream";
inline constexpr const char* kKvFilesFeature = "a KV cache in a file";
inline constexpr const char* kForesightFeature = "foresight of experts";
inline constexpr const char* kDevicesFeature = "reading no more experts for a device than were chosen";

struct EngineFunctions {
  const char* feature;  // null: everything needs these
  std::span<const char* const> names;
};

namespace engine_functions {
#define HEADRACE_NAME(name) "ggml_" #name,
inline constexpr const char* kStreaming[] = {HEADRACE_GGML_STREAMING(HEADRACE_NAME)};
inline constexpr const char* kPacking[] = {HEADRACE_GGML_PACKING(HEADRACE_NAME)};
inline constexpr const char* kKvFiles[] = {HEADRACE_GGML_KV_FILES(HEADRACE_NAME)};
inline constexpr const char* kForesight[] = {HEADRACE_GGML_FORESIGHT(HEADRACE_NAME)};
inline constexpr const char* kDevices[] = {HEADRACE_GGML_DEVICES(HEADRACE_NAME)};
#undef HEADRACE_NAME
}  // namespace engine_functions

inline constexpr std::array<EngineFunctions, 5> kEngineFunctions = {{{nullptr, engine_functions::kStreaming},
                                                                     {kPackingFeature, engine_functions::kPacking},
                                                                     {kKvFilesFeature, engine_functions::kKvFiles},
                                                                     {kForesightFeature, engine_functions::kForesight},
                                                                     {kDevicesFeature, engine_functions::kDevices}}};

}  // namespace headrace
