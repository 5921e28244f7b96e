#include "exec/ggml_api.h"

#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

namespace headrace {
namespace {

// ggml keeps each tensor behind a header of its own; ggml_tensor_overhead() is the sum of both.
constexpr size_t kObjectHeaderBytes = 32;

void ProbeFunction(ggml_tensor*, const ggml_tensor*, int, int, void*) {}

// A few tensors and a graph that is never computed, as the engine makes them.
class Probe {
 public:
  explicit Probe(const GgmlApi& api) : api_(api), context_(api.init({16384, nullptr, true})) {
    if (context_ == nullptr) return;
    plain = api.new_tensor_2d(context_, GGML_TYPE_F32, 6, 5);
    columns = api.new_tensor_2d(context_, GGML_TYPE_F32, 6, 2);
    plain->data = this;
    api.set_input(plain);
    api.set_name(plain, "probe");
    view = api.view_1d(context_, plain, 3, 8);
    product = api.mul_mat(context_, plain, columns);
    custom = api.map_custom1(context_, product, ProbeFunction, GGML_N_TASKS_MAX, this);
    graph = api.new_graph_custom(context_, 16, false);
    api.build_forward_expand(graph, custom);
  }
  ~Probe() {
    if (context_ != nullptr) api_.free(context_);
  }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  ggml_context* context() const { return context_; }

  ggml_tensor *plain = nullptr, *columns = nullptr, *view = nullptr, *product = nullptr, *custom = nullptr;
  ggml_cgraph* graph = nullptr;

 private:
  const GgmlApi& api_;
  ggml_context* context_;
};

bool HasParameter(const ggml_tensor& tensor, const void* value) {
  for (size_t at = 0; at + sizeof value <= sizeof tensor.op_params; at += sizeof value) {
    if (std::memcmp(reinterpret_cast<const char*>(tensor.op_params) + at, &value, sizeof value) == 0) return true;
  }
  return false;
}

// The name of the first field that is not where headrace was built to find it, or null.
const char* DifferentField(const GgmlApi& api, const Probe& probe) {
  const ggml_tensor &plain = *probe.plain, &view = *probe.view, &product = *probe.product, &custom = *probe.custom;
  if (plain.type != GGML_TYPE_F32) return "type";
  if (plain.ne[0] != 6 || plain.ne[1] != 5 || plain.ne[2] != 1 || plain.ne[3] != 1) return "ne";
  if (plain.nb[0] != 4 || plain.nb[1] != 24 || plain.nb[2] != 120 || plain.nb[3] != 120) return "nb";
  if (plain.op != GGML_OP_NONE || std::strcmp(api.op_name(plain.op), "NONE") != 0) return "op";
  if (plain.flags != GGML_TENSOR_FLAG_INPUT) return "flags";
  if (std::strcmp(plain.name, "probe") != 0) return "name";
  if (plain.view_src != nullptr || view.view_src != &plain) return "view_src";
  if (view.view_offs != 8) return "view_offs";
  if (view.data != reinterpret_cast<const char*>(&probe) + 8 || product.data != nullptr) return "data";
  if (product.src[0] != &plain || product.src[1] != probe.columns || custom.src[0] != &product ||
      custom.src[1] != nullptr)
    return "src";
  if (!HasParameter(custom, reinterpret_cast<const void*>(&ProbeFunction)) || !HasParameter(custom, &probe))
    return "op_params";
  if (api.graph_n_nodes(probe.graph) != 2 || api.graph_node(probe.graph, 0) != &product) return "graph";
  return nullptr;
}

// Every name up to that of the custom node, which is behind all that are looked for in every release.
void FindOps(const GgmlApi& api, ggml_op last, GgmlOps& ops) {
  const std::pair<const char*, ggml_op*> wanted[] = {{"ADD", &ops.add},
                                                     {"CPY", &ops.cpy},
                                                     {"GET_ROWS", &ops.get_rows},
                                                     {"MUL_MAT", &ops.mul_mat},
                                                     {"MUL_MAT_ID", &ops.mul_mat_id},
                                                     {"PERMUTE", &ops.permute},
                                                     {"RESHAPE", &ops.reshape},
                                                     {"SET_ROWS", &ops.set_rows},
                                                     {"TRANSPOSE", &ops.transpose},
                                                     {"UNARY", &ops.unary},
                                                     {"VIEW", &ops.view}};
  for (int number = 0; number <= static_cast<int>(last); ++number) {
    const auto op = static_cast<ggml_op>(number);
    for (const auto& [name, place] : wanted) {
      if (std::strcmp(api.op_name(op), name) == 0) *place = op;
    }
  }
}

// What the engine makes of the things that headrace uses.
Status LookAt(GgmlApi& api) {
  const size_t bytes = api.tensor_overhead() - kObjectHeaderBytes;
  if (bytes != sizeof(ggml_tensor)) {
    return Status(Code::kUnsupported,
                  fmt::format("its ggml_tensor has {} bytes, headrace was built for {}", bytes, sizeof(ggml_tensor)));
  }
  for (const auto& [type, name] : {std::pair{GGML_TYPE_F32, "f32"}, {GGML_TYPE_I32, "i32"}}) {
    if (std::strcmp(api.type_name(type), name) == 0) continue;
    return Status(Code::kUnsupported,
                  fmt::format("its type {} is {}, not {}", static_cast<int>(type), api.type_name(type), name));
  }
  const Probe probe(api);
  if (probe.context() == nullptr) return Status(Code::kUnsupported, "it cannot make a ggml context");
  if (const char* field = DifferentField(api, probe)) {
    return Status(Code::kUnsupported,
                  fmt::format("its ggml_tensor has other fields than headrace was built for ({})", field));
  }
  api.compute_flag = probe.product->flags & GGML_TENSOR_FLAG_COMPUTE;
  FindOps(api, probe.custom->op, api.op);
  if (probe.product->op != api.op.mul_mat) return Status(Code::kUnsupported, "its products are not operations MUL_MAT");
  if (api.no_foresight.empty()) {
    const ggml_tensor* const sigmoid = api.sigmoid(probe.context(), probe.plain);
    if (sigmoid->op == api.op.unary) api.sigmoid_op = sigmoid->op_params[0];
  }
  return {};
}

}  // namespace

Result<GgmlApi> LoadGgmlApi(const std::function<void*(const char*)>& find) {
  GgmlApi api;
  std::string missing;  // of the present group
  const auto load = [&](auto& pointer, const char* name) {
    pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(find(name));
    if (pointer == nullptr && missing.empty()) missing = std::string("it has no function ") + name;
  };
#define HEADRACE_LOAD(name) load(api.name, "ggml_" #name);
  HEADRACE_GGML_STREAMING(HEADRACE_LOAD)
  if (!missing.empty()) return Status(Code::kUnsupported, missing);
  HEADRACE_GGML_PACKING(HEADRACE_LOAD)
  api.no_packing = std::exchange(missing, {});
  HEADRACE_GGML_KV_FILES(HEADRACE_LOAD)
  api.no_kv_files = std::exchange(missing, {});
  HEADRACE_GGML_FORESIGHT(HEADRACE_LOAD)
  api.no_foresight = std::exchange(missing, {});
  HEADRACE_GGML_DEVICES(HEADRACE_LOAD)
  api.no_choice_of_devices = std::exchange(missing, {});
#undef HEADRACE_LOAD
  HEADRACE_RETURN_IF_ERROR(LookAt(api));
  return api;
}

}  // namespace headrace
