// The library's counters, each described once. The readings, every JSON, /metrics and docs/telemetry.md follow this
// list.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/json.h"
#include "report/statistics.h"
#include "telemetry/snapshot.h"

namespace headrace::cli {

struct Counter {
  enum Unit { kBytes, kNumber, kTime };
  enum Kind { kNow, kSum };  // what is the case now; a sum since the process started

  const char* name;    // in JSON; of a time without its unit: "wait" is wait_s or wait_ns
  const char* metric;  // of Prometheus, behind "headrace_flash_"
  Unit unit;
  Kind kind;
  const char* help;  // one sentence without its full stop
  Snapshot::Counter Snapshot::*source;
  uint64_t Statistics::*value;  // times in nanoseconds
};

std::span<const Counter> Counters();

enum class TimesIn { kSeconds, kNanoseconds };  // keys end in _s or _ns

// Every counter by its name, the passes by their width, and what kernels, reads and state are. Keys are only added.
Json CountersJson(const Statistics& statistics, TimesIn times);

// "plain", "repack", "mixed", "undecided".
const char* KernelName(uint32_t kernels);
// "passive", "loading", "streaming".
const char* StateName(uint32_t state);

double Seconds(uint64_t nanoseconds);

}  // namespace headrace::cli
