#include "setup/options.h"

#include <filesystem>
#include <tuple>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/size.h"
#include "kv/kv_file.h"

namespace headrace::cli {
namespace {

Status Invalid(const char* option, const std::string& value, const char* expected) {
  return Status(Code::kInvalidArgument, fmt::format("{} {} is not understood; write {}", option, value, expected));
}

// --kv-dir and its sizes. `limits` are those of `config`.
Status ResolveKv(const FlashOptions& options, const AvailableMemory& available, Config& config, MemoryLimits& limits) {
  if (!options.kv_dir.empty()) config.kv_dir = options.kv_dir;
  for (const auto& [name, text, bytes] :
       {std::tuple{"--kv-ram", &options.kv_ram, &config.kv_ram_bytes},
        std::tuple{"--kv-disk-max", &options.kv_disk_max, &config.kv_disk_max_bytes}}) {
    if (text->empty()) continue;
    const auto parsed = ParseRam(name, *text, false);
    if (!parsed.ok()) return parsed.status();
    *bytes = *parsed;
  }
  if (config.kv_dir.empty()) {
    if (config.kv_ram_bytes + config.kv_disk_max_bytes == 0) return {};
    return Status(
        Code::kInvalidArgument,
        "--kv-ram and --kv-disk-max are for a KV cache in a file; name a folder on a disk for it with --kv-dir");
  }
  HEADRACE_RETURN_IF_ERROR(KvFile::CheckFolder(config.kv_dir));
  config.kv_ram_bytes =
      config.KvRam(limits.process_bytes > 0 ? limits.process_bytes : AutomaticLimit(available, std::nullopt));
  limits.kv_bytes = config.kv_ram_bytes;
  return {};
}

// The library may run in another folder.
Status ResolveMirrors(const std::vector<std::string>& given, std::vector<std::string>& mirrors) {
  if (!given.empty()) mirrors = given;
  for (std::string& mirror : mirrors) {
    std::error_code error;
    if (!std::filesystem::exists(mirror, error)) {
      return Status(
          Code::kNotFound,
          fmt::format("--mirror {}: there is no such file or folder; `headrace mirror MODEL DIR` makes a copy",
                      mirror));
    }
    mirror = std::filesystem::absolute(mirror, error).string();
    if (mirror.find(':') != std::string::npos) {
      return Status(Code::kInvalidArgument, fmt::format("--mirror {}: the path must not contain a colon", mirror));
    }
  }
  return {};
}

}  // namespace

void AddFlashOptions(CLI::App& command, FlashOptions& options) {
  command
      .add_option(
          "--ram", options.ram,
          "Limit of memory for the whole process, for instance 8G or 512MiB. auto (the default) is what is available "
          "within the limits of cgroups and ulimit, less a tenth (also HEADRACE_RAM)")
      ->type_name("SIZE|auto");
  command
      .add_option("--weights-ram", options.weights_ram,
                  "Limit of memory for weights alone (default: what the rest of the process leaves of --ram; also "
                  "HEADRACE_WEIGHTS_RAM)")
      ->type_name("SIZE");
  command
      .add_option(
          "--vram", options.vram,
          "Memory of graphics cards and other devices of llama.cpp, all together, for instance 8G. auto (the default) "
          "is what is free there, less 1 GiB of each; off uses no device. What does not fit there goes to --ram and "
          "the disk (also HEADRACE_VRAM)")
      ->type_name("SIZE|auto|off");
  command
      .add_option(
          "--flash-mode", options.flash_mode,
          "Flash weight streaming: auto streams a model that does not fit in --ram, on streams every model, off "
          "streams none (default auto)")
      ->type_name("auto|on|off");
  command
      .add_option(
          "--kernels", options.kernels,
          "Kernels for weights: plain gives the same bits as llama.cpp --repack 0, repack the same as --repack 1, auto "
          "takes the faster ones (default auto)")
      ->type_name("auto|plain|repack");
  command
      .add_option(
          "--kv-dir", options.kv_dir,
          "Folder on a disk for a KV cache that is larger than --kv-ram (default: the KV cache stays in memory; "
          "also HEADRACE_KV_DIR)")
      ->type_name("DIR");
  command
      .add_option(
          "--kv-ram", options.kv_ram,
          "With --kv-dir: memory for the KV cache, as a part of --ram, for instance 2G (default: a quarter of --ram)")
      ->type_name("SIZE");
  command
      .add_option("--kv-disk-max", options.kv_disk_max,
                  "With --kv-dir: largest size of the KV cache on disk (default: what is free)")
      ->type_name("SIZE");
  AddMirrorOption(command, options.mirrors);
  command.add_flag("--lock", options.lock,
                   "Lock the memory of weights, so that it is never swapped (also HEADRACE_LOCK=1)");
  command.add_flag("--debug", options.debug, "Print what headrace decides, and the log of llama.cpp");
}

void AddMirrorOption(CLI::App& command, std::vector<std::string>& mirrors) {
  command
      .add_option("--mirror", mirrors,
                  "A copy of the model on another drive, or a folder that holds one; weights are then read from both "
                  "at once. Once for each drive. `headrace mirror` makes a copy (also HEADRACE_MIRROR, with : between)")
      ->type_name("PATH")
      ->allow_extra_args(false);
}

void AddEngineOption(CLI::App& command, std::string& engine) {
  command.add_option("--engine", engine, "Folder of the llama.cpp to use (also HEADRACE_ENGINE)")
      ->type_name("DIR")
      ->envname("HEADRACE_ENGINE");
}

Result<ResolvedConfig> ResolveConfig(const FlashOptions& options, const Getenv& getenv,
                                     const AvailableMemory& available) {
  // A variable that an option overrides is not read at all: its value may be wrong.
  const auto visible = [&](const char* name) -> const char* {
    const std::string variable = name;
    if (variable == "HEADRACE_RAM" && !options.ram.empty()) return nullptr;
    if (variable == "HEADRACE_WEIGHTS_RAM" && !options.weights_ram.empty()) return nullptr;
    if (variable == "HEADRACE_REST") return nullptr;  // the launcher's own
    if (variable == "HEADRACE_FLASH_MODE" && !options.flash_mode.empty()) return nullptr;
    if (variable == "HEADRACE_KV_RAM" && !options.kv_ram.empty()) return nullptr;
    if (variable == "HEADRACE_KV_DISK_MAX" && !options.kv_disk_max.empty()) return nullptr;
    if (variable == "HEADRACE_KERNELS" && !options.kernels.empty()) return nullptr;
    return getenv(name);
  };
  auto parsed = ParseConfig(visible);
  if (!parsed.ok()) return parsed.status();
  ResolvedConfig resolved{*parsed, {}, {}};
  Config& config = resolved.config;
  MemoryLimits& limits = resolved.limits;
  const bool process_given = !options.ram.empty() || visible("HEADRACE_RAM") != nullptr;
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
    const auto bytes = ParseRam("--ram", options.ram, true);
    if (!bytes.ok()) return bytes.status();
    config.process_bytes = *bytes;
  }
  if (!options.weights_ram.empty()) {
    const auto bytes = ParseRam("--weights-ram", options.weights_ram, false);
    if (!bytes.ok()) return bytes.status();
    config.weights_bytes = *bytes;
    if (!process_given) config.process_bytes = 0;
  }
  limits.flash_mode = config.flash_mode;
  limits.weights_bytes = config.weights_bytes;
  limits.weights_origin = options.weights_ram.empty() ? "HEADRACE_WEIGHTS_RAM" : "--weights-ram";
  limits.process_bytes = config.process_bytes;
  limits.process_origin = options.ram.empty() ? "HEADRACE_RAM" : "--ram";
  if (config.process_bytes == Config::kAutomatic) {
    limits.process_bytes = AutomaticLimit(available, std::nullopt);
    limits.process_origin = available.limited_by.empty()
                                ? "auto: the system does not tell its memory"
                                : fmt::format("auto: {} of {}, less {}", FormatSize(available.bytes),
                                              available.limited_by, FormatSize(MarginBytes(available.bytes)));
  }
  const char* vram_variable = getenv("HEADRACE_VRAM");
  if (!options.vram.empty() || (vram_variable != nullptr && *vram_variable != '\0')) {
    const auto vram =
        options.vram.empty() ? ParseVram("HEADRACE_VRAM", vram_variable) : ParseVram("--vram", options.vram);
    if (!vram.ok()) return vram.status();
    resolved.vram = *vram;
  }
  HEADRACE_RETURN_IF_ERROR(ResolveKv(options, available, config, limits));
  HEADRACE_RETURN_IF_ERROR(ResolveMirrors(options.mirrors, config.mirrors));
  config.debug = config.debug || options.debug;
  config.lock = config.lock || options.lock;
  return resolved;
}

}  // namespace headrace::cli
