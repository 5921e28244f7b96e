// "keep_alive" of Ollama's API: how long a model stays loaded after a request. Pure.
#pragma once

#include <chrono>
#include <optional>

#include "base/json.h"
#include "base/status.h"

namespace headrace::serve {

struct KeepAlive {
  enum class Kind {
    kAsServed,
    kAtOnce,
    kTime,
    kForEver
  };  // as --ttl says, not at all, so long, until somebody else unloads it
  Kind kind = Kind::kAsServed;
  std::chrono::seconds time{0};  // of kTime, above zero

  bool operator==(const KeepAlive&) const = default;
};

// Seconds, or a text as Go writes durations ("5m", "1h30m", "300ms", "-1"); below zero: for ever; null: kAsServed.
// Error: kInvalidArgument.
Result<KeepAlive> ParseKeepAlive(const Json& value);

}  // namespace headrace::serve
