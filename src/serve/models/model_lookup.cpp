#include "serve/models/model_lookup.h"

#include <optional>

namespace headrace::serve {

Task<std::vector<ModelEntry>> ModelLookup::Scan() {
  std::vector<ModelEntry> entries;
  co_await OnWorker(worker_, [&] { entries = library_.Scan(); });
  co_return entries;
}

Task<std::vector<NamedEntry>> ModelLookup::Named() {
  std::vector<NamedEntry> named;
  co_await OnWorker(worker_, [&] {
    for (ModelEntry& entry : library_.Scan()) {
      const std::string id = entry.id;
      named.push_back({id, std::move(entry)});
    }
    for (const NameAlias& alias : settings_.aliases) {
      auto entry = library_.Find(alias.model);
      if (entry.ok()) named.push_back({alias.name, std::move(*entry)});
    }
  });
  co_return named;
}

Task<Result<ModelEntry>> ModelLookup::Find(std::string name) {
  std::optional<Result<ModelEntry>> entry;
  co_await OnWorker(worker_, [&] { entry.emplace(library_.Find(WithoutAlias(settings_.aliases, name))); });
  co_return std::move(*entry);
}

Task<bool> ModelLookup::HasProjector(ModelEntry entry) {
  bool has = false;
  co_await OnWorker(worker_, [&] { has = !library_.ProjectorBeside(entry).empty(); });
  co_return has;
}

}  // namespace headrace::serve
