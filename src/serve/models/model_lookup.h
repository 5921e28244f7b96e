// The models on this machine by the names that a server gives them. Looks at files on a thread of its own; lives on the
// loop.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "http/net.h"
#include "models/model_library.h"
#include "serve/models/settings.h"

namespace headrace::serve {

// A model under one of the names that are listed.
struct NamedEntry {
  std::string name;  // its id, or an alias
  ModelEntry entry;
};

// All arguments outlive it, and it outlives every coroutine that it started.
class ModelLookup {
 public:
  ModelLookup(asio::thread_pool& worker, const Settings& settings, ModelLibrary& library)
      : worker_(worker), settings_(settings), library_(library) {}

  Task<std::vector<ModelEntry>> Scan();
  // The same with the aliases, each behind all ids.
  Task<std::vector<NamedEntry>> Named();
  // By an alias, or a name of its own.
  Task<Result<ModelEntry>> Find(std::string name);
  // Whether one lies beside it (ModelLibrary::ProjectorBeside).
  Task<bool> HasProjector(ModelEntry entry);

 private:
  asio::thread_pool& worker_;
  const Settings& settings_;
  ModelLibrary& library_;
};

}  // namespace headrace::serve
