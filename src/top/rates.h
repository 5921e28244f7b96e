// Speeds and shares from readings of one process's counters. Pure.
#pragma once

#include <deque>
#include <optional>

#include "report/statistics.h"

namespace headrace::top {

struct Sample {
  double time_s = 0;  // of any steady clock
  cli::Statistics statistics;
};

// Of the last interval, but for tokens_per_s and passes_per_s.
struct Rates {
  double seconds = 0;  // the interval; 0: one reading alone, then all else is zero
  double disk_bytes_per_s = 0;
  double upload_bytes_per_s = 0;  // weights copied to devices, from memory and disk
  double busy_share = 0;          // of the time: passes ran
  // Of the time in passes: waiting for the disk, in kernels on managed weights, in headrace's own code, and in what the
  // engine computes itself (attention, norms).
  double wait_share = 0, kernel_share = 0, own_share = 0, engine_share = 0;
  double pass_disk_bytes_per_s = 0;  // the disk while passes ran
  std::optional<double> hit_rate;    // experts that were in memory; none: none was chosen
  // Over as many intervals as it takes to see some passes; none: passes run and none has ended yet.
  std::optional<double> tokens_per_s, passes_per_s;
  double memory_bytes_per_s = 0;  // weights that decode's kernels consume, over the whole run; 0: unknown
};

// `samples`: of one process, oldest first. A counter that went down has started again from zero.
Rates RatesOf(const std::deque<Sample>& samples);

// How far back samples are of use.
inline constexpr double kWindowSeconds = 10;

}  // namespace headrace::top
