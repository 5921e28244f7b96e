// What llama-bench measured beside what the disk allows. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/engine_memory.h"
#include "report/statistics.h"

namespace headrace::cli {

struct BenchRow {
  uint64_t prompt_tokens = 0;  // > 0: a prompt was measured
  uint64_t decode_tokens = 0;  // > 0: decode was measured
  double tokens_per_s = 0;
  double deviation = 0;
};

// llama-bench -o json. Errors: kUnsupported when it is not what llama-bench writes.
Result<std::vector<BenchRow>> ParseBench(std::string_view json);

// What lies on a worker.
struct BenchWorker {
  std::string address;
  DeviceMemory memory;
};

struct BenchReport {
  std::string model;
  std::string engine_version;
  std::vector<BenchRow> rows;
  Statistics statistics;
  double disk_bytes_per_s = 0;  // measured just before; 0 unknown
  bool on_devices = false;      // known beforehand: no weight is left to the processor
  uint64_t budget_bytes = 0;
  std::vector<BenchWorker> workers;

  // Read for one token: what streams, and the experts that were not in memory.
  double bytes_per_token() const;
  // The most tokens/s that the disk allows at decode; 0 when nothing streams or the disk is unknown.
  double bound() const;
};

std::string RenderBenchText(const BenchReport& report);
// Stable keys, sizes in bytes; unknown numbers are null.
std::string RenderBenchJson(const BenchReport& report);

}  // namespace headrace::cli
