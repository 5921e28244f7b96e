// The configurations of models that are remembered from one load to the next: one JSON file,
//   {"version": 1, "models": {"/path/of/model.gguf": {"flash_mode": "on", "flash_ram_gb": 4}}}
#pragma once

#include <string>

#include "base/json.h"
#include "base/status.h"
#include "serve/models/model_config.h"

namespace headrace::serve {

// The file is read each time, so an edit counts from the next load on. A file that cannot be understood is an
// error of both functions and stays as it is; nothing else fails because of it. Touches the disk briefly.
class ConfigStore {
 public:
  // "" remembers nothing.
  explicit ConfigStore(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }

  // What was remembered, nothing set for a model that is new. Errors: kCorrupt (no JSON, another version, a
  // setting that does not exist), kIo, each naming the file.
  Result<ModelConfig> Find(const std::string& model_path) const;

  // Replaces the file in one step, keeping the other models' entries. An empty configuration is forgotten.
  // Errors: those of Find, kIo.
  Status Remember(const std::string& model_path, const ModelConfig& config) const;

 private:
  Result<Json> Read() const;

  std::string path_;
};

// $XDG_CONFIG_HOME/headrace/models.json or ~/.config/headrace/models.json; "" where there is no home.
std::string DefaultConfigPath();

}  // namespace headrace::serve
