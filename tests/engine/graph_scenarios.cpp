// Hosts that compute graphs of their own with the weights of a model that llama.cpp has loaded.
//
//   graph_scenarios SCENARIO --model A.gguf --out FILE [--columns N]
//     order    two products; while the graph is computed, two of its nodes change places, as the scheduler of another
//     engine might have them: with
//              --swap inputs by the host's eval callback, with --swap products by a node of the host's own, with --swap
//              none not at all. The order is valid all the same. Says "status S"
//     experts  products with every second expert of a layer: a weight that is no plain stack of matrices. Says what the
//     kernel does in the model's
//              mapping before and after
#include <cstring>
#include <map>
#include <tuple>
#include <utility>

#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "llama_host.h"

namespace {

using namespace headrace::testing;

using Weights = std::map<std::string, ggml_tensor*>;

// The weights of all products of a model, by name. They live as long as the model.
Weights FindWeights(llama_model* model) {
  Weights weights;
  SessionOptions options;
  options.cb_eval = [](ggml_tensor* node, bool, void* found) {
    if (node->src[0] != nullptr && node->src[0]->op == GGML_OP_NONE)
      (*static_cast<Weights*>(found))[node->src[0]->name] = node->src[0];
    return false;
  };
  options.cb_eval_data = &weights;
  Session session(model, options);
  if (session.Prompt(1) != 0) Die("no prompt");
  return weights;
}

ggml_tensor* WeightOf(const Weights& weights, const char* name) {
  const auto found = weights.find(name);
  if (found == weights.end()) Die("the model multiplies with no %s", name);
  return found->second;
}

// A graph on the processor. Tensors are made first, then the memory.
class OwnGraph {
 public:
  OwnGraph() {
    if (context_ == nullptr || backend_ == nullptr) Die("no ggml");
  }
  OwnGraph(const OwnGraph&) = delete;
  ~OwnGraph() {
    ggml_backend_sched_free(sched_);
    ggml_backend_free(backend_);
    ggml_free(context_);
  }
  ggml_context* context() { return context_; }
  ggml_cgraph* graph() { return graph_; }
  ggml_backend_sched_t sched() { return sched_; }

  // The next node. Its memory stays its own: nodes may change places.
  ggml_tensor* Add(ggml_tensor* node) {
    ggml_set_output(node);
    ggml_build_forward_expand(graph_, node);
    return node;
  }
  void Allocate() {
    if (!ggml_backend_sched_alloc_graph(sched_, graph_)) Die("no memory");
  }
  void Swap(int a, int b) { std::swap(ggml_graph_nodes(graph_)[a], ggml_graph_nodes(graph_)[b]); }
  int PlaceOf(const ggml_tensor* node) {
    for (int i = 0; i < ggml_graph_n_nodes(graph_); ++i) {
      if (ggml_graph_node(graph_, i) == node) return i;
    }
    Die("no such node");
  }

 private:
  ggml_context* context_ = ggml_init({64 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, true});
  ggml_cgraph* graph_ = ggml_new_graph(context_);
  ggml_backend_t backend_ = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr);
  ggml_backend_sched_t sched_ = ggml_backend_sched_new(&backend_, nullptr, 1, GGML_DEFAULT_GRAPH_SIZE, false, false);
};

void Fill(ggml_tensor* tensor) {
  std::vector<float> values(static_cast<size_t>(ggml_nelements(tensor)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 7 % 23) - 11.0F;
  ggml_backend_tensor_set(tensor, values.data(), 0, values.size() * sizeof(float));
}

void Dump(DumpWriter& dump, const std::string& label, const ggml_tensor* tensor) {
  std::vector<float> values(static_cast<size_t>(ggml_nelements(tensor)));
  ggml_backend_tensor_get(tensor, values.data(), 0, values.size() * sizeof(float));
  dump.Write(label, values.data(), values.size());
}

// Changes places when the first node is computed.
struct Swapping {
  OwnGraph graph;
  const ggml_tensor* begin = nullptr;
  int a = 0, b = 0;

  void Swap() {
    if (a != b) graph.Swap(std::exchange(a, 0), std::exchange(b, 0));
  }
};

void Order(const Weights& weights, const std::string& swap, int columns, DumpWriter& dump) {
  ggml_tensor *gate = WeightOf(weights, "blk.0.ffn_gate.weight"), *up = WeightOf(weights, "blk.0.ffn_up.weight");
  Swapping swapping;
  OwnGraph& own = swapping.graph;
  ggml_context* const context = own.context();
  ggml_tensor* const input = ggml_new_tensor_2d(context, GGML_TYPE_F32, gate->ne[0], columns);
  ggml_set_input(input);
  ggml_tensor* const begin = own.Add(ggml_map_custom1(
      context, input,
      [](ggml_tensor* to, const ggml_tensor* from, int thread, int, void* self) {  // ggml has all threads call it
        if (thread > 0) return;
        std::memcpy(to->data, from->data, ggml_nbytes(from));
        if (self != nullptr) static_cast<Swapping*>(self)->Swap();
      },
      1, swap == "products" ? &swapping : nullptr));
  swapping.begin = begin;
  ggml_tensor* const half = own.Add(ggml_scale(context, begin, 0.5F));
  ggml_tensor* const twice = own.Add(ggml_scale(context, begin, 2));
  ggml_tensor* const first = own.Add(ggml_mul_mat(context, gate, half));
  ggml_tensor* const second = own.Add(ggml_mul_mat(context, up, twice));
  ggml_tensor* const sum = own.Add(ggml_add(context, first, second));
  own.Allocate();
  Fill(input);
  if (swap == "inputs") std::tie(swapping.a, swapping.b) = std::pair{own.PlaceOf(half), own.PlaceOf(twice)};
  if (swap == "products") std::tie(swapping.a, swapping.b) = std::pair{own.PlaceOf(first), own.PlaceOf(second)};
  if (swap == "inputs") {
    ggml_backend_sched_set_eval_callback(
        own.sched(),
        [](ggml_tensor* node, bool ask, void* self) {
          auto* const mine = static_cast<Swapping*>(self);
          if (ask && node == mine->begin) mine->Swap();
          return false;
        },
        &swapping);
  }
  const ggml_status status = ggml_backend_sched_graph_compute(own.sched(), own.graph());
  std::printf("status %d\n", status);
  if (status == GGML_STATUS_SUCCESS) Dump(dump, "sum", sum);
}

void Experts(const Weights& weights, int columns, DumpWriter& dump) {
  std::puts(AdviceInModels().c_str());
  ggml_tensor* const all = WeightOf(weights, "blk.0.ffn_gate_exps.weight");
  OwnGraph own;
  ggml_context* const context = own.context();
  ggml_tensor* const input = ggml_new_tensor_3d(context, GGML_TYPE_F32, all->ne[0], 1, columns);
  ggml_tensor* const chosen = ggml_new_tensor_2d(context, GGML_TYPE_I32, 2, columns);
  ggml_set_input(input);
  ggml_set_input(chosen);
  ggml_tensor* const even =
      ggml_view_3d(context, all, all->ne[0], all->ne[1], all->ne[2] / 2, all->nb[1], 2 * all->nb[2], 0);
  ggml_tensor* const product = own.Add(ggml_mul_mat_id(context, even, input, chosen));
  own.Allocate();
  Fill(input);
  std::vector<int32_t> ids(static_cast<size_t>(ggml_nelements(chosen)));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * 5) % static_cast<int32_t>(even->ne[2]);
  ggml_backend_tensor_set(chosen, ids.data(), 0, ids.size() * sizeof ids[0]);
  if (ggml_backend_sched_graph_compute(own.sched(), own.graph()) != GGML_STATUS_SUCCESS) Die("the graph failed");
  Dump(dump, "product", product);
  std::puts(AdviceInModels().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) Die("graph_scenarios SCENARIO --model A.gguf --out FILE ...");
  const std::string scenario = argv[1];
  const Options options(argc, argv, 2, {"--model", "--out", "--columns", "--swap"});
  StartEngine();
  const Model model = LoadModel(options.Text("--model", ""), false);
  DumpWriter dump(options.Text("--out", "/dev/null"));
  const Weights weights = FindWeights(model.get());
  if (scenario == "order") {
    Order(weights, options.Text("--swap", "none"), options.Int("--columns", 4), dump);
  } else if (scenario == "experts") {
    Experts(weights, options.Int("--columns", 4), dump);
  } else {
    Die("unknown scenario %s", scenario.c_str());
  }
  return 0;
}
