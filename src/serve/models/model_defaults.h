// What the Modelfile beside a model (docs/modelfile.md) gives to a load of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "serve/models/model_config.h"
#include "setup/modelfile_use.h"

namespace headrace::serve {

struct ModelDefaults {
  std::string path;                        // of the Modelfile, "" when none counts
  std::optional<uint64_t> context_length;  // num_ctx, tokens
  std::optional<bool> look_ahead;
  std::vector<cli::EngineOption> options;  // of llama-server, but for the context
  std::vector<std::string> applied;        // for people: "temperature 0.7"
  std::vector<std::string> notes;          // what is not applied and why, what changes the answers
};

// `config` with what FLASH, FLASH_RAM_GB and FLASH_VRAM_GB say and it does not. Pure.
ModelConfig WithFlash(ModelConfig config, const cli::Modelfile& file);

// All the rest of it, where `config` says nothing else. Error: that of EngineOptionsOf. Pure.
Result<ModelDefaults> DefaultsOf(const cli::ModelfileUse& use, const Catalogue& catalogue, const ModelConfig& config);

}  // namespace headrace::serve
