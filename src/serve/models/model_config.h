// How one model is to be loaded, as users say it through the API and as it is remembered. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/config.h"
#include "base/status.h"
#include "setup/options.h"

namespace headrace::serve {

// What is absent follows the server's own options, else a default.
struct ModelConfig {
  std::optional<FlashMode> flash_mode;
  std::optional<double> ram_gb;        // memory for its whole process, GiB
  std::optional<double> flash_ram_gb;  // of that for weights, GiB
  std::optional<std::string> vram_gb;  // memory of devices as --vram takes it: "8.000000G", "auto", "off"
  std::optional<bool> flash_debug;
  std::optional<uint64_t> context_length;    // tokens
  std::optional<std::string> kv_cache_type;  // "f16", "q8_0", ...
  std::optional<std::string> draft_model;    // a model's id
  std::optional<std::string> speculate;      // "auto", "on", "off"
  std::optional<uint64_t> draft_tokens;      // length of every draft
  std::optional<std::string> projector;      // a projector's id; "" for none where one lies beside the model
  std::optional<bool> embedding;             // serve embeddings
  std::optional<uint64_t> slots;             // requests at a time

  bool operator==(const ModelConfig&) const = default;
};

// `base` with what `object` sets; null takes a setting back. flash_mode is "auto", "on", "off", true or false; vram_gb
// a number of GiB, "auto" or "off". Errors: kInvalidArgument naming the key, for unknown keys too. The keys in
// `ignored` are the caller's.
Result<ModelConfig> ParseModelConfig(const nlohmann::json& object, ModelConfig base,
                                     std::initializer_list<const char*> ignored = {});

// Only what is set.
nlohmann::json ToJson(const ModelConfig& config);

// The command's options with those of this model before them.
cli::FlashOptions ToFlashOptions(cli::FlashOptions options, const ModelConfig& config);

}  // namespace headrace::serve
