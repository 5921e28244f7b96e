#include "setup/model_weights.h"

#include <algorithm>

#include "engine/draft_head.h"

namespace headrace::cli {
namespace {

constexpr const char* kEmbeddingName = "token_embd.weight";
constexpr const char* kOutputName = "output.weight";

// Matrices that no MUL_MAT multiplies: lookup tables and convolutions.
bool IsLookupOrConvolution(const std::string& name) {
  for (const char* part : {"_embd.", "token_types", "conv1d", "norm", "rope_"}) {
    if (name.find(part) != std::string::npos) return true;
  }
  return false;
}

bool IsMatrix(const TensorEntry& tensor) { return tensor.rows() > 1 && tensor.name.ends_with(".weight"); }

double Elements(const TensorEntry& tensor) {
  return static_cast<double>(tensor.shape[0]) * static_cast<double>(tensor.rows());
}

// As the options that place weights see it.
TensorEntry OutputTensor() {
  TensorEntry tensor;
  tensor.name = kOutputName;
  return tensor;
}

}  // namespace

ModelWeights SelectWeights(const Catalogue& catalogue, const OnDeviceTest& on_device, bool uses_head) {
  ModelWeights result;
  result.uses_head = uses_head && HeadBlocks(catalogue) > 0;
  // The table of tokens is looked up where it lies; a copy of it may be the output on a device.
  const bool tied = HasTiedOutput(catalogue) && !on_device(OutputTensor());
  const TensorEntry* output = nullptr;
  const double share = catalogue.experts == 0
                           ? 0
                           : static_cast<double>(std::min(catalogue.experts_used, catalogue.experts)) /
                                 static_cast<double>(catalogue.experts);
  const auto add = [&](const TensorEntry& tensor, bool by_model, bool by_head) {
    const WeightExtent extent{tensor.rows(), tensor.row_bytes(), by_head ? 1u : 0u, tensor.is_expert()};
    result.extents.push_back(extent);
    (extent.experts ? result.expert_bytes : result.managed_bytes) += tensor.bytes;
    const auto active = static_cast<uint64_t>(static_cast<double>(tensor.bytes) * (extent.experts ? share : 1));
    if (by_model) result.active_parameters += Elements(tensor) * (extent.experts ? share : 1);
    if (by_model && extent.experts) result.active_expert_bytes += active;
    if (by_head) result.head_token_bytes += active;
    if (by_head) (extent.experts ? result.head_expert_bytes : result.head_kept_bytes) += active;
    // Its activations and the results of one row group (exec/expert_product.h).
    if (extent.experts)
      result.token_column_bytes = std::max(result.token_column_bytes, (tensor.shape[0] + kRowGroup) * sizeof(float));
    const uint64_t group = std::min(kRowGroup, extent.rows) * extent.row_bytes;
    if (group > result.widest_group_bytes) {
      result.widest_group_bytes = group;
      result.widest = tensor.name;
    }
  };
  for (const TensorEntry& tensor : catalogue.tensors) {
    // Also one that is multiplied, too.
    if (PartOf(tensor) == WeightPart::kInput && IsMatrix(tensor))
      result.tables.push_back({tensor.rows(), tensor.row_bytes()});
    const bool of_head = IsOfHead(catalogue, tensor);
    if (of_head) result.head_bytes += tensor.bytes;
    if (on_device(tensor)) {
      result.device_bytes += tensor.bytes;
    } else if (of_head && !result.uses_head) {
      continue;
    } else if (tensor.name == kOutputName || (tied && tensor.name == kEmbeddingName)) {
      output = &tensor;
    } else if (tensor.is_expert() || (IsMatrix(tensor) && !IsLookupOrConvolution(tensor.name))) {
      add(tensor, !of_head, of_head);
    } else {
      result.other_bytes += tensor.bytes;
    }
  }
  if (output != nullptr) add(*output, true, result.uses_head && !HeadHasOutput(catalogue));
  return result;
}

}  // namespace headrace::cli
