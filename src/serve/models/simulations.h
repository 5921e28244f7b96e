// What the engine will allocate for a model and its arguments, asked once: a simulation takes some tenths of a second,
// and the page asks for each move of a slider.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "engine/engine_locator.h"
#include "engine/engine_memory.h"
#include "models/model_library.h"

namespace headrace::serve {

// For one thread at a time.
class Simulations {
 public:
  // Prepared for these arguments of llama-server; lives until the next call.
  Result<cli::EngineSimulation>& Get(const cli::Engine& engine, const ModelEntry& entry,
                                     const cli::EngineArguments& arguments);

 private:
  // A file that changed is another model.
  using Key = std::tuple<std::vector<std::string>, uint64_t, int64_t>;
  std::map<Key, Result<cli::EngineSimulation>> known_;
};

}  // namespace headrace::serve
