#include "setup/device_weights.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <regex>
#include <utility>

namespace headrace::cli {
namespace {

constexpr const char* kTokenEmbedding = "token_embd.weight";
constexpr const char* kOutput = "output.weight";

// What divides layers among devices says nothing about what is left to the processor.
constexpr OptionId kPlacing[] = {OptionId::kLayers, OptionId::kHostExperts, OptionId::kHostFfn,
                                 OptionId::kOverrideTensor};

bool Contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }
bool ContainsAny(std::string_view text, std::initializer_list<const char*> parts) {
  return std::any_of(parts.begin(), parts.end(), [&](const char* part) { return Contains(text, part); });
}

// "pattern=buffer type", of which a list has several.
using Override = std::pair<std::regex, bool>;  // true: onto a device

std::vector<Override> OverridesIn(const EngineArguments& arguments) {
  std::vector<Override> overrides;
  for (const GivenOption& given : arguments.options()) {
    if (given.option != OptionId::kOverrideTensor || !given.value) continue;
    std::string_view list = *given.value;
    while (!list.empty()) {
      const std::string_view field = list.substr(0, list.find(','));
      list.remove_prefix(std::min(field.size() + 1, list.size()));
      const size_t equals = field.find('=');
      if (equals == std::string_view::npos) continue;
      const std::string_view type = field.substr(equals + 1);
      // A pattern that is none is the engine's to refuse.
      try {
        overrides.emplace_back(std::regex(std::string(field.substr(0, equals))),
                               type != "CPU" && !type.ends_with("_Host"));
      } catch (const std::regex_error&) {
      }
    }
  }
  return overrides;
}

uint64_t LayersOf(const EngineArguments& arguments) {
  const auto text = arguments.Value(OptionId::kLayers);
  if (!text) return UINT64_MAX / 2;
  uint64_t layers = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), layers);
  return error == std::errc() && end == text->data() + text->size() ? std::min(layers, UINT64_MAX / 2)
                                                                    : UINT64_MAX / 2;  // auto, all, -1
}

}  // namespace

WeightPart PartOf(const TensorEntry& tensor) {
  const std::string& name = tensor.name;
  if (tensor.layer < 0)
    return ContainsAny(name, {"_embd.", "token_types"}) && !Contains(name, "_norm") ? WeightPart::kInput
                                                                                    : WeightPart::kOutput;
  // As the engine's own patterns say.
  if (ContainsAny(name, {".ffn_up_exps", ".ffn_down_exps", ".ffn_gate_exps", ".ffn_gate_up_exps", ".ffn_up_chexps",
                         ".ffn_down_chexps", ".ffn_gate_chexps", ".ffn_gate_up_chexps"})) {
    return WeightPart::kExperts;
  }
  return ContainsAny(name, {".ffn_up.", ".ffn_down.", ".ffn_gate."}) ? WeightPart::kFfn : WeightPart::kShared;
}

bool HasTiedOutput(const Catalogue& catalogue) {
  return std::none_of(catalogue.tensors.begin(), catalogue.tensors.end(),
                      [](const TensorEntry& tensor) { return tensor.name == kOutput; });
}

bool PlacesWeights(const EngineArguments& arguments) {
  if (arguments.Has(OptionId::kAllHostExperts) || arguments.Value(OptionId::kDevices) == "none" ||
      LetsEnginePlace(arguments))
    return true;
  return std::any_of(std::begin(kPlacing), std::end(kPlacing),
                     [&](OptionId option) { return arguments.Value(option).has_value(); });
}

bool LetsEnginePlace(const EngineArguments& arguments) {
  const auto fit = arguments.Value(OptionId::kFit);
  return fit && *fit != "off" && *fit != "0" && *fit != "false" && *fit != "disabled";
}

bool MayUse(const EngineArguments& arguments, const std::string& device) {
  const auto names = arguments.Value(OptionId::kDevices);
  if (!names) return true;
  const std::string list = "," + *names + ",";
  return list.find("," + device + ",") != std::string::npos;
}

OnDeviceTest OnDeviceBy(const EngineArguments& arguments, const Catalogue& catalogue) {
  if (arguments.Value(OptionId::kDevices) == "none") return [](const TensorEntry&) { return false; };
  Placement placement;
  placement.device_layers = LayersOf(arguments);
  placement.host_experts =
      arguments.Has(OptionId::kAllHostExperts) ? UINT64_MAX : arguments.Number(OptionId::kHostExperts);
  placement.host_ffn = arguments.Number(OptionId::kHostFfn);
  auto overrides = std::make_shared<const std::vector<Override>>(OverridesIn(arguments));
  return [placement, overrides = std::move(overrides), layers = catalogue.layers](const TensorEntry& tensor) {
    for (const auto& [pattern, device] : *overrides) {
      if (std::regex_search(tensor.name, pattern)) return device;
    }
    return OnDevice(placement, PartOf(tensor), static_cast<uint64_t>(std::max(tensor.layer, 0)), layers);
  };
}

PlacementModel PlacementModelOf(const Catalogue& catalogue) {
  PlacementModel model;
  model.layers.resize(catalogue.layers);
  const bool tied = HasTiedOutput(catalogue);
  for (const TensorEntry& tensor : catalogue.tensors) {
    const WeightPart part = PartOf(tensor);
    if (part == WeightPart::kOutput || (tied && tensor.name == kTokenEmbedding)) model.output_bytes += tensor.bytes;
    if (tensor.layer < 0 || static_cast<uint64_t>(tensor.layer) >= catalogue.layers) continue;
    LayerBytes& layer = model.layers[static_cast<size_t>(tensor.layer)];
    (part == WeightPart::kExperts ? layer.experts
     : part == WeightPart::kFfn   ? layer.ffn
                                  : layer.shared) += tensor.bytes;
  }
  return model;
}

}  // namespace headrace::cli
