#include "cli/options.h"

#include <fmt/format.h>

#include "base/size.h"

namespace headrace::cli {
namespace {

// Without memory information there is nothing to take half of.
constexpr uint64_t kFallbackBytes = 2 * kGiB;

Status Invalid(const char* option, const std::string& value, const char* expected) {
  return Status(Code::kInvalidArgument, fmt::format("{} {} is not understood; write {}", option, value, expected));
}

}  // namespace

void AddFlashOptions(CLI::App& command, FlashOptions& options) {
  command.add_option("--ram", options.ram,
                     "Memory for weights, for instance 8G or 512MiB (default: half of the available memory; also HEADRACE_RAM)")
      ->type_name("SIZE");
  command.add_option("--flash-mode", options.flash_mode,
                     "Flash weight streaming: auto streams a model larger than --ram, on every model, off none (default auto)")
      ->type_name("auto|on|off");
  command.add_option("--kernels", options.kernels,
                     "Kernels for weights: plain gives the bits of llama.cpp --repack 0, repack those of --repack 1, auto the "
                     "faster (default auto)")
      ->type_name("auto|plain|repack");
  command.add_flag("--debug", options.debug, "Say what was decided, and let the engine log");
}

void AddEngineOption(CLI::App& command, std::string& engine) {
  command.add_option("--engine", engine, "Folder of the llama.cpp to use (also HEADRACE_ENGINE)")
      ->type_name("DIR")
      ->envname("HEADRACE_ENGINE");
}

Result<ResolvedConfig> ResolveConfig(const FlashOptions& options, const Getenv& getenv, const AvailableMemory& available) {
  // A variable that an option overrides is not read at all: its value may be wrong.
  const auto visible = [&](const char* name) -> const char* {
    const std::string variable = name;
    if (variable == "HEADRACE_RAM" && !options.ram.empty()) return nullptr;
    if (variable == "HEADRACE_FLASH_MODE" && !options.flash_mode.empty()) return nullptr;
    if (variable == "HEADRACE_KERNELS" && !options.kernels.empty()) return nullptr;
    return getenv(name);
  };
  auto parsed = ParseConfig(visible);
  if (!parsed.ok()) return parsed.status();
  ResolvedConfig resolved{*parsed, "HEADRACE_RAM"};
  Config& config = resolved.config;
  config.snapshot_path.clear();

  const char* mode_variable = visible("HEADRACE_FLASH_MODE");
  if (!options.flash_mode.empty()) {
    const auto mode = ParseFlashMode(options.flash_mode);
    if (!mode) return Invalid("--flash-mode", options.flash_mode, "auto, on or off");
    config.flash_mode = *mode;
  } else if (mode_variable == nullptr || *mode_variable == '\0') {
    config.flash_mode = FlashMode::kAuto;
  }
  if (!options.kernels.empty()) {
    const auto kernels = ParseKernels(options.kernels);
    if (!kernels) return Invalid("--kernels", options.kernels, "auto, plain or repack");
    config.kernels = *kernels;
  }
  if (!options.ram.empty()) {
    const auto bytes = ParseSize(options.ram);
    if (!bytes.ok()) return Status(bytes.status().code(), "--ram: " + bytes.status().message());
    if (*bytes == 0) return Invalid("--ram", options.ram, "a size above zero, for instance 8G");
    config.weights_bytes = *bytes;
    resolved.ram_origin = "--ram";
  } else if (config.weights_bytes == 0 && available.bytes > 0) {
    config.weights_bytes = available.bytes / 2;
    resolved.ram_origin = fmt::format("half of the available {} ({})", FormatSize(available.bytes), available.limited_by);
  } else if (config.weights_bytes == 0) {
    config.weights_bytes = kFallbackBytes;
    resolved.ram_origin = "a default, as the system does not tell its memory";
  }
  config.debug = config.debug || options.debug;
  return resolved;
}

}  // namespace headrace::cli
