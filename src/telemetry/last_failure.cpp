#include "telemetry/last_failure.h"

#include <mutex>

namespace headrace {
namespace {

struct Failure {
  std::mutex mutex;
  std::string message;
};

// Never destroyed: threads may fail while the process exits.
Failure& Last() {
  static Failure* const last = new Failure;
  return *last;
}

}  // namespace

void SetLastFailure(const std::string& message) {
  const std::lock_guard lock(Last().mutex);
  Last().message = message;
}

std::string LastFailure() {
  const std::lock_guard lock(Last().mutex);
  return Last().message;
}

}  // namespace headrace
