#include "serve/models/simulations.h"

namespace headrace::serve {
namespace {

constexpr size_t kMost = 64;  // each a few hundred bytes

}  // namespace

Result<cli::EngineSimulation>& Simulations::Get(const cli::Engine& engine, const ModelEntry& entry,
                                                const cli::EngineArguments& arguments) {
  const Key key(arguments.words(), entry.size_bytes, entry.modified);
  auto found = known_.find(key);
  // One that failed may work now.
  if (found != known_.end() && !found->second.ok()) {
    known_.erase(found);
    found = known_.end();
  }
  if (found != known_.end()) return found->second;
  if (known_.size() >= kMost) known_.clear();
  return known_.emplace(key, cli::EngineSimulation::Prepare(engine, arguments)).first->second;
}

}  // namespace headrace::serve
