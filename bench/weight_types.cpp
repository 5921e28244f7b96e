#include "weight_types.h"

#include <algorithm>
#include <cstdlib>

#include "random_weights.h"

namespace headrace::bench {
namespace {

bool Has(std::string_view name, std::string_view part) { return name.find(part) != std::string_view::npos; }

// N of "blk.N."; 0 elsewhere.
uint32_t LayerOf(std::string_view name) {
  return name.starts_with("blk.")
             ? static_cast<uint32_t>(std::strtoul(std::string(name.substr(4)).c_str(), nullptr, 10))
             : 0;
}

// llama-quantize's choice of layers that lose most by fewer bits: the first and the last eighth, and every third
// between.
bool NeedsMoreBits(uint32_t layer, uint32_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

TensorType MixedType(std::string_view name, uint32_t layers, bool grouped_values) {
  const bool more = NeedsMoreBits(LayerOf(name), layers);
  if (name == "output.weight") return TensorType::kQ6_K;
  if (Has(name, "ffn_down")) return more ? TensorType::kQ6_K : TensorType::kQ4_K;
  if (Has(name, "attn_v.weight") || Has(name, "attn_qkv.weight")) {
    return more ? TensorType::kQ6_K : grouped_values ? TensorType::kQ5_K : TensorType::kQ4_K;
  }
  return TensorType::kQ4_K;
}

TensorType DynamicType(std::string_view name) {
  constexpr TensorType kSteps[] = {TensorType::kQ4_K, TensorType::kQ5_K, TensorType::kQ6_K, TensorType::kQ8_0};
  if (!Has(name, "_exps.")) return TensorType::kQ6_K;
  return kSteps[LayerOf(name) % 3 + (Has(name, "ffn_down") ? 1 : 0)];
}

// For rows that are no multiple of 256, as llama-quantize has it.
TensorType FittingType(TensorType type, uint64_t row) {
  if (row % BlockLayoutOf(type).elements == 0) return type;
  switch (type) {
    case TensorType::kQ4_K:
      return TensorType::kQ5_0;
    case TensorType::kQ5_K:
    case TensorType::kQ6_K:
      return TensorType::kQ8_0;
    default:
      return type;
  }
}

}  // namespace

const std::vector<TypeMixName>& TypeMixes() {
  static const std::vector<TypeMixName> mixes = {
      {"q4_0", TypeMix::kQ4_0, 2},        {"q8_0", TypeMix::kQ8_0, 7},      {"q6_k", TypeMix::kQ6_K, 18},
      {"q4_k", TypeMix::kQ4_K, 14},       {"q4_k_m", TypeMix::kQ4_K_M, 15}, {"mxfp4", TypeMix::kMxfp4, 38},
      {"dynamic", TypeMix::kDynamic, 18},
  };
  return mixes;
}

uint32_t FileTypeOf(TypeMix mix) {
  const auto& mixes = TypeMixes();
  return std::find_if(mixes.begin(), mixes.end(), [&](const TypeMixName& known) { return known.mix == mix; })
      ->file_type;
}

uint32_t RowMultipleOf(TypeMix mix) { return mix == TypeMix::kQ4_K || mix == TypeMix::kQ6_K ? 256 : 32; }

TensorType TypeOf(TypeMix mix, std::string_view name, const std::vector<uint64_t>& shape, uint32_t layers,
                  bool grouped_values) {
  switch (mix) {
    case TypeMix::kQ4_0:
      return TensorType::kQ4_0;
    case TypeMix::kQ8_0:
      return TensorType::kQ8_0;
    case TypeMix::kQ6_K:
      return TensorType::kQ6_K;
    case TypeMix::kQ4_K:
      return name == "output.weight" ? TensorType::kQ6_K : TensorType::kQ4_K;
    case TypeMix::kQ4_K_M:
      return FittingType(MixedType(name, layers, grouped_values), shape[0]);
    case TypeMix::kMxfp4:
      return Has(name, "_exps.") ? TensorType::kMxfp4 : TensorType::kQ8_0;
    case TypeMix::kDynamic:
      return FittingType(DynamicType(name), shape[0]);
  }
  return TensorType::kQ4_0;
}

}  // namespace headrace::bench
