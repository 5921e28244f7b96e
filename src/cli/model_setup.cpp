#include "cli/model_setup.h"

#include <cstdlib>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/size.h"
#include "cli/engine_probe.h"
#include "cli/machine_profile.h"
#include "cli/session.h"

namespace headrace::cli {

Result<ModelSetup> PrepareModel(const std::string& path, const FlashOptions& options) {
  auto resolved = ResolveConfig(options, [](const char* name) { return std::getenv(name); }, FindAvailableMemory(ReadTextFile));
  if (!resolved.ok()) return resolved.status();
  auto catalogue = ReadCatalogue(path);
  if (!catalogue.ok()) return catalogue.status();
  ModelSetup setup;
  setup.path = path;
  setup.catalogue = std::move(*catalogue);
  setup.weights = SelectWeights(setup.catalogue);
  setup.config = resolved->config;
  setup.ram_origin = resolved->ram_origin;
  setup.streams = WillStream(setup.config.flash_mode, setup.catalogue, setup.config.weights_bytes);
  if (setup.streams) HEADRACE_RETURN_IF_ERROR(CheckBudget(setup.weights, setup.config.weights_bytes));
  return setup;
}

Result<EngineSetup> PrepareEngine(const std::string& engine_option, std::initializer_list<const char*> programs,
                                  FlashMode mode) {
  EngineSetup setup;
  setup.paths = SystemSearchPaths(engine_option);
  auto engine = LocateEngine(setup.paths);
  if (!engine.ok()) return engine.status();
  setup.engine = std::move(*engine);
  // Only the engine's own folder: a program of another llama.cpp on PATH has other options.
  SearchPaths own;
  Status missing;
  for (const char* name : programs) {
    auto program = LocateProgram(name, &setup.engine, own);
    if (program.ok()) {
      setup.program = std::move(*program);
      break;
    }
    if (missing.ok()) {
      missing = Status(Code::kNotFound, fmt::format("the llama.cpp in {} has no {}; run `headrace engine install` or name "
                                                    "another with --engine DIR", setup.engine.bin_dir, name));
    }
  }
  if (setup.program.empty()) return missing;
  if (mode != FlashMode::kOff) {
    auto library = LocateLibrary(setup.paths);
    if (!library.ok()) return library.status();
    setup.library = std::move(*library);
  }
  return setup;
}

void AddDiskSpeed(const std::string& model_path, const Engine& engine, Config& config) {
  if (config.disk_bytes_per_s > 0) return;
  ProgressLine progress;
  progress.Show("measuring the disk");
  const auto profile = MachineProfileFor(model_path, QueryVersion(engine));
  progress.Show("");
  if (profile.ok()) {
    config.disk_bytes_per_s = profile->disk_bytes_per_s;
  } else if (config.debug) {
    fmt::print(stderr, "headrace: disk speed unknown: {}\n", profile.status().message());
  }
}

void DebugModel(const ModelSetup& model) {
  if (!model.config.debug) return;
  fmt::print(stderr, "headrace: budget {} ({}), weights {}, flash mode {}: {}\n", FormatSize(model.config.weights_bytes),
             model.ram_origin, FormatSize(model.catalogue.weight_bytes()), ToString(model.config.flash_mode),
             model.streams ? "weights will stream" : "nothing to stream");
}

void DebugEngine(const EngineSetup& engine, const std::vector<std::string>& arguments, const Config& config) {
  if (!config.debug) return;
  fmt::print(stderr, "headrace: engine from {}, library {}, disk {:.2f} GB/s\n", engine.engine.origin,
             engine.library.empty() ? "not loaded" : engine.library, config.disk_bytes_per_s / 1e9);
  fmt::print(stderr, "headrace: {} {}\n", engine.program, fmt::join(arguments, " "));
}

}  // namespace headrace::cli
