// Options that several subcommands share, and the configuration that they make.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/status.h"
#include "engine/arguments.h"
#include "engine/devices.h"
#include "memory/available.h"
#include "process/process_start.h"
#include "setup/memory_budget.h"

namespace CLI {
class App;
}

namespace headrace::cli {

struct FlashOptions {
  std::string ram;  // "" when absent, as all the others
  std::string weights_ram;
  std::string flash_mode;
  std::string kernels;
  bool lock = false;
  bool debug = false;
  std::string kv_dir;
  std::string kv_ram;
  std::string kv_disk_max;
  std::string vram;
  std::vector<std::string> mirrors;
};

// --ram, --weights-ram, --vram, --flash-mode, --kernels, --lock, --debug, --kv-dir, --kv-ram, --kv-disk-max,
// --mirror.
void AddFlashOptions(CLI::App& command, FlashOptions& options);
// --mirror alone.
void AddMirrorOption(CLI::App& command, std::vector<std::string>& mirrors);
// --engine, also HEADRACE_ENGINE.
void AddEngineOption(CLI::App& command, std::string& engine);

struct ResolvedConfig {
  Config config;
  MemoryLimits limits;  // of config, with what kAutomatic is now
  VramLimit vram;
};

// Options go before environment variables, those before defaults: mode auto, all available memory but a margin; with
// memory for weights alone, no limit on the process; with a folder for KV caches, a quarter of the process for them; of
// devices' memory what is free but a margin (HEADRACE_VRAM, which the library has no use for). Errors: kInvalidArgument
// naming the option and its value; for --kv-dir those of KvFile::CheckFolder.
Result<ResolvedConfig> ResolveConfig(const FlashOptions& options, const Getenv& getenv,
                                     const AvailableMemory& available);

// What one run of the command is about to do: filled by the subcommand that was chosen.
struct CommandLine {
  EngineArguments rest;         // after the first "--"
  bool has_rest = false;        // a "--" was given
  std::function<int()> action;  // returns the exit status
  Environment variables;        // of TakeEngineVariables
};

}  // namespace headrace::cli
