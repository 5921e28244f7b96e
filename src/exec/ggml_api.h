// ggml as found in the process that the library was loaded into. The library links none of it: a program that
// opens llama.cpp with dlopen and local scope keeps it to itself, so its functions are looked up through the
// caller (hook/engines.h).
//
// Releases of ggml number their operations differently, mark nodes differently, and have more or fewer functions.
// All of that is asked of the engine itself. Compiled in is the struct ggml_tensor, which is compared, and what has
// the same number in every release: the states that a computation returns and the type of the CPU device.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/engine_functions.h"
#include "base/status.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml.h"

namespace headrace {

// The numbers of operations in this engine, kNoOp for one that it does not have. NONE is 0 in every engine.
struct GgmlOps {
  static constexpr ggml_op kNoOp = static_cast<ggml_op>(-1);
  ggml_op add = kNoOp;
  ggml_op cpy = kNoOp;
  ggml_op get_rows = kNoOp;
  ggml_op mul_mat = kNoOp;
  ggml_op mul_mat_id = kNoOp;
  ggml_op permute = kNoOp;
  ggml_op reshape = kNoOp;
  ggml_op set_rows = kNoOp;
  ggml_op transpose = kNoOp;
  ggml_op unary = kNoOp;
  ggml_op view = kNoOp;
  bool operator==(const GgmlOps&) const = default;
};

struct GgmlApi {
  // One pointer for each function, under the function's own name without its prefix "ggml_". Those of a feature
  // that is off may be null.
#define HEADRACE_POINTER(name) decltype(&::ggml_##name) name = nullptr;
  HEADRACE_GGML_STREAMING(HEADRACE_POINTER)
  HEADRACE_GGML_PACKING(HEADRACE_POINTER)
  HEADRACE_GGML_KV_FILES(HEADRACE_POINTER)
  HEADRACE_GGML_FORESIGHT(HEADRACE_POINTER)
  HEADRACE_GGML_DEVICES(HEADRACE_POINTER)
#undef HEADRACE_POINTER

  GgmlOps op;
  // What flags nodes that are to be computed; 0 in an engine that computes every node of a graph.
  int32_t compute_flag = 0;
  // The first parameter of a unary operation that is a sigmoid; -1 when there is no foresight.
  int32_t sigmoid_op = -1;

  // Why a feature is off with this engine ("it has no function ggml_..."), "" when it is there.
  std::string no_packing;
  std::string no_kv_files;
  std::string no_foresight;
  std::string no_choice_of_devices;

  bool Computes(const ggml_tensor& node) const { return (node.flags & compute_flag) == compute_flag; }

  bool operator==(const GgmlApi&) const = default;
};

// Looks every function up with `find` (which returns null for an unknown name) and makes a few tensors, which are
// never computed, to see that this engine's ggml_tensor is the one that headrace was compiled for. Errors:
// kUnsupported, naming what is missing or differs; nothing of this engine can stream then.
Result<GgmlApi> LoadGgmlApi(const std::function<void*(const char*)>& find);

// Whether a tensor's data begin in an address range.
inline bool LiesIn(const ggml_tensor& tensor, const void* address, uint64_t bytes) {
  const auto at = reinterpret_cast<uintptr_t>(tensor.data), begin = reinterpret_cast<uintptr_t>(address);
  return at >= begin && at < begin + bytes;
}

}  // namespace headrace
