#include "serve/models/model_config.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/shown.h"
#include "base/size.h"
#include "setup/speculation.h"

namespace headrace::serve {
namespace {

using Json = nlohmann::json;

// Those of llama.cpp's --cache-type-k and -v.
constexpr const char* kCacheTypes[] = {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"};
constexpr uint64_t kMaxContext = uint64_t{1} << 31;
constexpr uint64_t kMaxSlots = 256;
constexpr double kMaxRamGb = 1 << 20;

// Each returns what was expected, "" when the value was taken.
using Setter = std::function<std::string(const Json&, ModelConfig&)>;

std::string SetMode(const Json& value, ModelConfig& config) {
  if (value.is_boolean()) {
    config.flash_mode = value.get<bool>() ? FlashMode::kOn : FlashMode::kOff;
    return "";
  }
  if (value.is_string()) config.flash_mode = ParseFlashMode(value.get<std::string>());
  return value.is_string() && config.flash_mode ? "" : R"("auto", "on", "off", true or false)";
}

template <std::optional<double> ModelConfig::*field>
std::string SetRam(const Json& value, ModelConfig& config) {
  if (!value.is_number() || !(value.get<double>() > 0) || value.get<double>() > kMaxRamGb)
    return "a number of GiB above zero";
  config.*field = value.get<double>();
  return "";
}

// In a query a number is a number too.
std::string SetVram(const Json& value, ModelConfig& config) {
  if (value == "auto" || value == "off") {
    config.vram_gb = value.get<std::string>();
    return "";
  }
  if (!value.is_number() || !(value.get<double>() > 0) || value.get<double>() > kMaxRamGb)
    return R"(a number of GiB above zero, "auto" or "off")";
  config.vram_gb = fmt::format("{:.6f}G", value.get<double>());
  return "";
}

template <std::optional<bool> ModelConfig::*field>
std::string SetBool(const Json& value, ModelConfig& config) {
  if (!value.is_boolean()) return "true or false";
  config.*field = value.get<bool>();
  return "";
}

template <std::optional<uint64_t> ModelConfig::*field, uint64_t most>
std::string SetCount(const Json& value, ModelConfig& config) {
  if (!value.is_number_integer() || value.get<int64_t>() < 1 || value.get<uint64_t>() > most) {
    return fmt::format("a whole number from 1 to {}", most);
  }
  config.*field = value.get<uint64_t>();
  return "";
}

template <std::optional<std::string> ModelConfig::*field>
std::string SetText(const Json& value, ModelConfig& config) {
  if (!value.is_string()) return "a model's id";
  config.*field = value.get<std::string>();
  return "";
}

std::string SetSpeculate(const Json& value, ModelConfig& config) {
  const auto mode = value.is_string() && !value.get<std::string>().empty()
                        ? cli::ParseSpeculationMode(value.get<std::string>())
                        : std::nullopt;
  if (!mode) return R"("auto", "on" or "off")";
  config.speculate = cli::ToString(*mode);
  return "";
}

std::string SetCacheType(const Json& value, ModelConfig& config) {
  const bool known = value.is_string() && std::find(std::begin(kCacheTypes), std::end(kCacheTypes),
                                                    value.get<std::string>()) != std::end(kCacheTypes);
  if (!known) return fmt::format("one of {}", fmt::join(kCacheTypes, ", "));
  config.kv_cache_type = value.get<std::string>();
  return "";
}

struct Key {
  Setter set;
  std::function<void(ModelConfig&)> reset;
};

template <auto field>
Key MakeKey(Setter set) {
  return {std::move(set), [](ModelConfig& config) { (config.*field).reset(); }};
}

const std::map<std::string, Key>& Keys() {
  static const std::map<std::string, Key> keys = {
      {"flash_mode", MakeKey<&ModelConfig::flash_mode>(SetMode)},
      {"flash_ram_gb", MakeKey<&ModelConfig::flash_ram_gb>(SetRam<&ModelConfig::flash_ram_gb>)},
      {"ram_gb", MakeKey<&ModelConfig::ram_gb>(SetRam<&ModelConfig::ram_gb>)},
      {"vram_gb", MakeKey<&ModelConfig::vram_gb>(SetVram)},
      {"flash_debug", MakeKey<&ModelConfig::flash_debug>(SetBool<&ModelConfig::flash_debug>)},
      {"context_length", MakeKey<&ModelConfig::context_length>(SetCount<&ModelConfig::context_length, kMaxContext>)},
      {"kv_cache_type", MakeKey<&ModelConfig::kv_cache_type>(SetCacheType)},
      {"draft_model", MakeKey<&ModelConfig::draft_model>(SetText<&ModelConfig::draft_model>)},
      {"speculate", MakeKey<&ModelConfig::speculate>(SetSpeculate)},
      {"draft_tokens", MakeKey<&ModelConfig::draft_tokens>(SetCount<&ModelConfig::draft_tokens, kMostDraftTokens>)},
      {"projector", MakeKey<&ModelConfig::projector>(SetText<&ModelConfig::projector>)},
      {"embedding", MakeKey<&ModelConfig::embedding>(SetBool<&ModelConfig::embedding>)},
      {"slots", MakeKey<&ModelConfig::slots>(SetCount<&ModelConfig::slots, kMaxSlots>)}};
  return keys;
}

}  // namespace

Result<ModelConfig> ParseModelConfig(const Json& object, ModelConfig base, std::initializer_list<const char*> ignored) {
  if (!object.is_object()) return Status(Code::kInvalidArgument, "a model's configuration is a JSON object");
  for (const auto& [name, value] : object.items()) {
    if (std::find(ignored.begin(), ignored.end(), name) != ignored.end()) continue;
    const auto key = Keys().find(name);
    if (key == Keys().end()) {
      std::vector<std::string> names;
      for (const auto& [known, unused] : Keys()) names.push_back(known);
      return Status(Code::kInvalidArgument,
                    fmt::format("there is no setting {}; the settings are {}", Shown(name), fmt::join(names, ", ")));
    }
    key->second.reset(base);
    if (value.is_null()) continue;
    const std::string expected = key->second.set(value, base);
    if (expected.empty()) continue;
    return Status(Code::kInvalidArgument, fmt::format("{} is not understood: write {}", name, expected));
  }
  return base;
}

Json ToJson(const ModelConfig& config) {
  Json json = Json::object();
  if (config.flash_mode) json["flash_mode"] = ToString(*config.flash_mode);
  const auto put = [&](const char* name, const auto& value) {
    if (value) json[name] = *value;
  };
  put("ram_gb", config.ram_gb);
  put("flash_ram_gb", config.flash_ram_gb);
  if (config.vram_gb)
    json["vram_gb"] =
        config.vram_gb->ends_with('G') ? Json(std::strtod(config.vram_gb->c_str(), nullptr)) : Json(*config.vram_gb);
  put("flash_debug", config.flash_debug);
  put("context_length", config.context_length);
  put("kv_cache_type", config.kv_cache_type);
  put("draft_model", config.draft_model);
  put("speculate", config.speculate);
  put("draft_tokens", config.draft_tokens);
  put("projector", config.projector);
  put("embedding", config.embedding);
  put("slots", config.slots);
  return json;
}

cli::FlashOptions ToFlashOptions(cli::FlashOptions options, const ModelConfig& config) {
  if (config.flash_mode) options.flash_mode = ToString(*config.flash_mode);
  const auto bytes = [](double gb) {
    return std::to_string(std::max<int64_t>(1, std::llround(gb * static_cast<double>(kGiB))));
  };
  if (config.ram_gb) options.ram = bytes(*config.ram_gb);
  if (config.flash_ram_gb) options.weights_ram = bytes(*config.flash_ram_gb);
  if (config.vram_gb) options.vram = *config.vram_gb;
  if (config.flash_debug) options.debug = *config.flash_debug;
  return options;
}

}  // namespace headrace::serve
