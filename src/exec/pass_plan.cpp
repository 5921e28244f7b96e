#include "exec/pass_plan.h"

#include <algorithm>
#include <cstring>

namespace headrace {
namespace {

// A MUL_MAT_ID that chooses one matrix of a three-dimensional weight for each of some ids of each token.
bool IsExpertProduct(const GgmlApi& api, const ggml_tensor& node) {
  if (node.op != api.op.mul_mat_id) return false;
  const ggml_tensor &weight = *node.src[0], &columns = *node.src[1], &ids = *node.src[2];
  return weight.ne[3] == 1 && columns.type == GGML_TYPE_F32 && columns.nb[0] == sizeof(float) && columns.ne[3] == 1 &&
         ids.type == GGML_TYPE_I32 && ids.ne[0] == node.ne[1] && ids.ne[1] == node.ne[2] && ids.ne[2] == 1 &&
         ids.ne[3] == 1 && node.nb[0] == sizeof(float);
}

// The scheduler's last backend is the CPU's.
ggml_backend_t CpuBackend(const GgmlApi& api, ggml_backend_sched_t sched) {
  ggml_backend_t backend = api.backend_sched_get_backend(sched, api.backend_sched_get_n_backends(sched) - 1);
  return api.backend_dev_type(api.backend_get_device(backend)) == GGML_BACKEND_DEVICE_TYPE_CPU ? backend : nullptr;
}

// Products with the same ids are of one layer.
void GroupExperts(const GgmlApi& api, ExpertStore& experts, RouterCopies* routers, PassPlan& plan) {
  std::vector<std::vector<const Weight*>> weights;
  std::vector<const ggml_tensor*> chosen;    // by the routers
  plan.uses.reserve(plan.takeovers.size());  // takeovers point at them
  for (size_t i = 0; i < plan.takeovers.size(); ++i) {
    Takeover& takeover = plan.takeovers[i];
    if (!takeover.weight->experts) continue;
    const ggml_tensor* ids = takeover.node->src[2];
    const auto count = static_cast<uint32_t>(takeover.weight->tensor.ne[2]);
    size_t at = 0;
    const auto same = [&](const ExpertUse& use) {
      return use.ids == ids && use.experts == count && use.upload == takeover.upload;
    };
    while (at < plan.uses.size() && !same(plan.uses[at])) ++at;
    if (at == plan.uses.size()) {
      ExpertUse& use = plan.uses.emplace_back();
      use.experts = count;
      use.ids = ids;
      use.per_token = ids->ne[0];
      use.tokens = ids->ne[1];
      use.first = i;
      use.upload = takeover.upload;
      use.kept = takeover.kept;
      weights.emplace_back();
      chosen.push_back(takeover.ids);
    }
    plan.uses[at].last = i;
    takeover.experts = &plan.uses[at];
    takeover.slice = weights[at].size();
    weights[at].push_back(takeover.weight);
  }
  for (size_t at = 0; at < plan.uses.size(); ++at) {
    ExpertUse& use = plan.uses[at];
    use.layer = experts.FindOrAdd(weights[at], static_cast<uint32_t>(use.per_token));
    if (use.tokens != 1 || use.upload || routers == nullptr) continue;
    use.router = FindRouter(api, *chosen[at], use.experts);
    const auto router = std::find_if(plan.takeovers.begin(), plan.takeovers.end(),
                                     [&](const Takeover& t) { return t.node == use.router.product; });
    use.router_weight = router != plan.takeovers.end() ? router->weight : routers->Copy(use.router);
  }
}

// llama.cpp's name for what only a draft head has ("blk.46.nextn.eh_proj.weight").
bool IsOfHead(const ggml_tensor& weight) { return std::strstr(weight.name, ".nextn.") != nullptr; }

void AddFile(const SourceFile& file, PassPlan& plan) {
  if (std::find(plan.files.begin(), plan.files.end(), &file) == plan.files.end()) plan.files.push_back(&file);
}

}  // namespace

std::vector<MappedWeight> FindMappedWeights(const GgmlApi& api, ggml_cgraph* graph, const MappingTable& mappings,
                                            const ExpertStacks& stacks) {
  std::vector<MappedWeight> mapped;
  const int nodes = api.graph_n_nodes(graph);
  for (int i = 0; i < nodes; ++i) {
    const ggml_tensor* node = api.graph_node(graph, i);
    if (node->op != api.op.mul_mat && node->op != api.op.mul_mat_id) continue;
    const ggml_tensor* weight = node->src[0];
    const ggml_tensor* const ids = node->op == api.op.mul_mat_id ? node->src[2] : nullptr;
    if (weight->data != nullptr && mappings.Find(weight->data, api.nbytes(weight))) {
      mapped.push_back({node, weight, ids, nullptr});
    } else if (auto stack = ids != nullptr ? stacks.KeptIn(*weight) : nullptr) {
      mapped.push_back({node, stack.get(), ids, stack});
    }
  }
  return mapped;
}

std::vector<ManagedProduct> FindProducts(const GgmlApi& api, ggml_backend_sched_t sched, ggml_cgraph* graph,
                                         std::span<const MappedWeight> mapped, MappingTable& mappings) {
  std::vector<ManagedProduct> products;
  size_t next = 0;  // of `mapped`
  const int nodes = api.graph_n_nodes(graph);
  for (int i = 0; i < nodes; ++i) {
    ggml_tensor* node = api.graph_node(graph, i);
    if ((node->op != api.op.mul_mat && node->op != api.op.mul_mat_id) || !api.Computes(*node)) continue;
    const MappedWeight named = next < mapped.size() && mapped[next].node == node
                                   ? mapped[next++]
                                   : MappedWeight{node, node->src[0], node->src[2], nullptr};
    const ggml_tensor* const weight = named.weight;
    if (weight->data == nullptr || node->ne[0] * node->ne[1] * node->ne[2] * node->ne[3] == 0) continue;
    auto origin = mappings.Find(weight->data, api.nbytes(weight));
    if (!origin) continue;
    if (node->op == api.op.mul_mat_id && (!IsExpertProduct(api, *node) || !CutOf(api, *weight).by_rows)) {
      mappings.LeaveToKernel(weight->data, api.nbytes(weight));
      continue;
    }
    ggml_backend_t backend = api.backend_sched_get_tensor_backend(sched, node);
    if (backend == nullptr) continue;
    const auto device = api.backend_dev_type(api.backend_get_device(backend));
    const bool elsewhere = device == GGML_BACKEND_DEVICE_TYPE_ACCEL && node->op == api.op.mul_mat;
    if (elsewhere) backend = CpuBackend(api, sched);
    const bool upload = device != GGML_BACKEND_DEVICE_TYPE_CPU && device != GGML_BACKEND_DEVICE_TYPE_ACCEL;
    if (named.stack != nullptr && !upload) continue;
    if (backend == nullptr || (device == GGML_BACKEND_DEVICE_TYPE_ACCEL && !elsewhere)) {
      mappings.LeaveToKernel(weight->data, api.nbytes(weight));
      continue;
    }
    ManagedProduct& product = products.emplace_back();
    product.weight = weight;
    product.takeover.node = node;
    product.takeover.before = i == 0 ? nullptr : api.graph_node(graph, i - 1);
    product.takeover.at = i;
    product.takeover.backend = backend;
    product.takeover.elsewhere = elsewhere;
    product.takeover.upload = upload;
    product.takeover.ids = named.ids;
    product.takeover.kept = named.stack != nullptr;
    product.origin = std::move(*origin);
  }
  return products;
}

void PassPlan::Clear() {
  uses.clear();  // with their pins
  takeovers.clear();
  lookups.clear();
  files.clear();
  of_head = false;
  columns = 0;
  multiplied_bytes = column_bytes = 0;
}

void MakePassPlan(const GgmlApi& api, std::vector<ManagedProduct> products, RouterCopies* routers, WeightStore& weights,
                  ExpertStore& experts, PassPlan& plan) {
  plan.Clear();
  plan.takeovers.reserve(products.size());
  plan.of_head = std::any_of(products.begin(), products.end(),
                             [](const ManagedProduct& product) { return IsOfHead(*product.weight); });
  for (ManagedProduct& product : products) {
    Takeover& takeover = plan.takeovers.emplace_back(std::move(product.takeover));
    takeover.weight = weights.FindOrAdd(*product.weight, product.origin, takeover.node->op == api.op.mul_mat_id);
    if (takeover.upload) weights.KeepAsInFile(*takeover.weight);
    if (plan.of_head) weights.AddToHead(*takeover.weight);
    AddFile(*takeover.weight->origin.file, plan);
  }
  GroupExperts(api, experts, routers, plan);
  for (const Takeover& takeover : plan.takeovers) {
    const ggml_tensor& node = *takeover.node;
    const ExpertUse* const use = takeover.experts;
    plan.columns = std::max(plan.columns, use != nullptr ? use->tokens : node.ne[1] * node.ne[2] * node.ne[3]);
    plan.multiplied_bytes += use == nullptr
                                 ? takeover.weight->bytes()
                                 : takeover.weight->bytes() / use->experts * static_cast<uint64_t>(use->per_token);
    if (use != nullptr && use->tokens > 1 && !use->upload)
      plan.column_bytes = std::max(plan.column_bytes, ExpertProduct::ScratchBytes(node, use->tokens));
  }
}

void AddLookups(std::vector<Lookup> lookups, PassPlan& plan) {
  plan.lookups = std::move(lookups);
  for (const Lookup& lookup : plan.lookups) AddFile(*lookup.table->origin.file, plan);
}

}  // namespace headrace
