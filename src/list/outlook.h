// What a model on this machine can be expected to do: what `headrace serve` would decide for one request at a time if
// it were loaded alone.
#pragma once

#include <string>

#include "models/model_library.h"
#include "serve/models/load_plan.h"
#include "serve/models/settings.h"
#include "serve/models/simulations.h"

namespace headrace::list {

enum class Verdict { kFits, kStreams, kTooSmall, kDamaged, kUnknown };
// "fits", "streams", "too small", "damaged", "unknown".
const char* ToString(Verdict verdict);

struct Outlook {
  Verdict verdict = Verdict::kUnknown;
  double tokens_per_s = 0;  // 0: not known, or it writes no text
  std::string reason;       // why it is too small, damaged or not known; "" otherwise
};

struct ListedModel {
  ModelEntry entry;
  Outlook outlook;
};

// Lets the engine simulate its allocations, and measures the disk where it is not known yet (a second). Of a file that
// cannot be read the outlook has the error.
class Foreseer {
 public:
  // Both outlive it.
  Foreseer(const serve::Settings& settings, ModelLibrary& library);
  Outlook Foresee(const ModelEntry& entry);
  const AvailableMemory& available() const { return room_.available; }

 private:
  const serve::Settings& settings_;
  ModelLibrary& library_;
  serve::Simulations simulations_;
  serve::MemoryRoom room_;
};

}  // namespace headrace::list
