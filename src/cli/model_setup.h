// What run, plan and bench do before anything is started: the model's catalogue is read, the budget is
// settled and checked, the engine and the library are found.
#pragma once

#include <string>

#include "base/status.h"
#include "cli/engine_locator.h"
#include "cli/model_weights.h"
#include "cli/options.h"
#include "gguf/catalogue.h"

namespace headrace::cli {

struct ModelSetup {
  std::string path;
  Catalogue catalogue;
  ModelWeights weights;
  Config config;
  std::string ram_origin;
  bool streams = false;      // WillStream
};

// Errors: those of ReadCatalogue, ResolveConfig and, when the model will stream, CheckBudget.
Result<ModelSetup> PrepareModel(const std::string& path, const FlashOptions& options);

struct EngineSetup {
  SearchPaths paths;
  Engine engine;
  std::string program;       // of the engine, the first of those asked for that it has
  std::string library;       // "" with flash mode off
};

// Errors: kNotFound and kUnsupported of the locator; callers exit with kExitNotFound.
Result<EngineSetup> PrepareEngine(const std::string& engine_option, std::initializer_list<const char*> programs,
                                  FlashMode mode);

// Fills config.disk_bytes_per_s from the machine profile, measuring it once for a disk; keeps one that is set.
// Without a measurement it stays 0, which is only said when debugging.
void AddDiskSpeed(const std::string& model_path, const Engine& engine, Config& config);

// Lines about what was decided, on standard error, when `config.debug` is set.
void DebugModel(const ModelSetup& model);
void DebugEngine(const EngineSetup& engine, const std::vector<std::string>& arguments, const Config& config);

}  // namespace headrace::cli
