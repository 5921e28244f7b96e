#include "serve/models/load_history.h"

namespace headrace::serve {

void LoadHistory::Loaded(const std::string& id, double seconds, bool anew) {
  if (anew) {
    ++sums_[id].loads;
    sums_[id].seconds += seconds;
  }
  errors_.erase(id);
  seconds_[id] = seconds;
}

void LoadHistory::Failed(const std::string& id, const Status& status) {
  ++sums_[id].failures;
  errors_[id] = status.message();
}

std::string LoadHistory::LastError(const std::string& id) const {
  const auto it = errors_.find(id);
  return it == errors_.end() ? "" : it->second;
}

std::optional<double> LoadHistory::LastSeconds(const std::string& id) const {
  const auto it = seconds_.find(id);
  return it == seconds_.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace headrace::serve
