#include "serve/models/model_defaults.h"

#include <cstdlib>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "engine/option_table.h"

namespace headrace::serve {
namespace {

bool IsContext(const cli::EngineOption& option) {
  return cli::FindOption(option.names.front()) == cli::OptionId::kContext;
}

// Why a setting of the Modelfile is not applied, "" when it is.
std::string WhyLeftOut(const std::string& setting, const ModelConfig& config) {
  const std::string_view name = std::string_view(setting).substr(0, setting.find(' '));
  if (name == "SYSTEM") return "a chat of the API or the page brings its own system prompt";
  const auto asked = [](const auto& value, const char* key) {
    return value ? fmt::format("{} of the model's configuration goes before it", key) : "";
  };
  if (name == "FLASH") return asked(config.flash_mode, "flash_mode");
  if (name == "FLASH_RAM_GB") return asked(config.flash_ram_gb, "flash_ram_gb");
  if (name == "FLASH_VRAM_GB") return asked(config.vram_gb, "vram_gb");
  if (name == "num_ctx") return asked(config.context_length, "context_length");
  return "";
}

}  // namespace

ModelConfig WithFlash(ModelConfig config, const cli::Modelfile& file) {
  if (!config.flash_mode) config.flash_mode = file.flash_mode;
  if (!config.flash_ram_gb && file.flash_ram_gb > 0) config.flash_ram_gb = file.flash_ram_gb;
  if (!config.vram_gb && !file.flash_vram.empty()) config.vram_gb = file.flash_vram;
  return config;
}

Result<ModelDefaults> DefaultsOf(const cli::ModelfileUse& use, const Catalogue& catalogue, const ModelConfig& config) {
  ModelDefaults defaults;
  if (use.path.empty()) return defaults;
  defaults.path = use.path;
  auto options = cli::EngineOptionsOf(use, catalogue);
  if (!options.ok()) return options.status();
  for (cli::EngineOption& option : *options) {
    if (IsContext(option)) {
      defaults.context_length =
          static_cast<uint64_t>(std::strtod(option.value.c_str(), nullptr));  // "4e3" is a whole number too
    } else {
      defaults.options.push_back(std::move(option));
    }
  }
  const cli::Modelfile& file = use.file;
  defaults.look_ahead = file.look_ahead;
  for (const std::string& setting : file.settings) {
    const std::string why = WhyLeftOut(setting, config);
    if (why.empty()) {
      defaults.applied.push_back(setting);
    } else {
      defaults.notes.push_back(fmt::format("{} is not applied: {}", setting, why));
    }
  }
  // The first of these lines says what was set.
  const std::vector<std::string> lines = cli::DescribeModelfile(use, catalogue);
  defaults.notes.insert(defaults.notes.end(), std::next(lines.begin()), lines.end());
  return defaults;
}

}  // namespace headrace::serve
