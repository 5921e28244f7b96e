// What the library reported about a run, as lines for people. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "telemetry/disturbance.h"
#include "telemetry/snapshot.h"

namespace headrace::cli {

// One reading of the library's snapshot.
struct Statistics {
  uint32_t state = Snapshot::kPassive;
  uint32_t kernels = Snapshot::kUndecided;
  bool direct_io = false;
  uint64_t budget_bytes = 0;
  uint64_t weight_bytes = 0;
  uint64_t resident_target_bytes = 0;
  uint64_t resident_bytes = 0;
  uint64_t streamed_bytes_per_pass = 0;
  uint64_t ring_bytes = 0;
  uint64_t scratch_bytes = 0;
  uint64_t expert_bytes = 0;  // of weight_bytes
  uint64_t expert_cache_bytes = 0;
  uint64_t expert_resident_bytes = 0;
  uint64_t experts_chosen = 0;
  uint64_t expert_hits = 0;
  uint64_t expert_bytes_read = 0;
  uint64_t expert_neighbours = 0;  // choices of tokens of which the one before is known
  uint64_t experts_again = 0;      // of those: that one's, too
  uint64_t rows_looked_up = 0;     // of tables
  uint64_t row_hits = 0;
  uint64_t row_bytes_read = 0;
  uint64_t row_memory_bytes = 0;
  uint64_t uploaded_bytes = 0;              // of weights, to devices: while models were loaded and in passes
  uint64_t uploaded_from_memory_bytes = 0;  // of those: were in memory
  uint64_t passes = 0;
  uint64_t bytes_read = 0;
  uint64_t reads_failed = 0;
  uint64_t reads_retried = 0;
  uint64_t pass_ns = 0;
  uint64_t wait_ns = 0;
  uint64_t kernel_ns = 0;  // repacking included
  uint64_t repack_ns = 0;
  uint64_t own_ns = 0;
  uint64_t decode_passes = 0;
  uint64_t decode_ns = 0;
  uint64_t decode_wait_ns = 0;
  uint64_t decode_bytes = 0;
  uint64_t decode_kernel_ns = 0;
  uint64_t decode_weight_bytes = 0;  // weights multiplied, streamed or resident
  // Passes of the largest model by width, without those that loaded; and one-token passes of a draft.
  struct WidthSums {
    uint64_t passes = 0, tokens = 0, ns = 0;
  };
  std::array<WidthSums, kWidthLimits.size()> widths{};
  uint64_t draft_passes = 0;
  uint64_t draft_ns = 0;
  uint64_t disturbed_ns = 0;  // of the time of all these: what other programs took
  uint64_t tokens = 0;        // of prompts, of decode, of all sequences
  uint64_t errors = 0;
  uint64_t process_id = 0;
  uint64_t process_limit_bytes = 0;      // 0: none
  uint64_t process_bytes = 0;            // at the start of the last pass
  uint64_t probed_disk_bytes_per_s = 0;  // 0: unknown
  uint64_t model_device = 0;             // st_dev of the model's file
  std::string model;                     // file name
  uint64_t kv_ram_bytes = 0;
  uint64_t kv_bytes_read = 0;
  uint64_t kv_bytes_written = 0;
  uint64_t kv_wait_ns = 0;
  std::string last_error;
  // That weights are read from, if there are mirrors.
  struct Drive {
    uint64_t device = 0, bytes_read = 0, bytes_per_s = 0, reads_failed = 0;

    // "nvme0n1p2"; "drive 0:45" where the system has no name for it.
    std::string Name() const;
  };
  std::vector<Drive> drives;

  // The share of the passes' time that other programs took, from 0 to 1.
  double disturbed_share() const;
  // More than that is no measurement of this machine.
  bool disturbed() const { return disturbed_share() > kMostDisturbed; }
  // A model was streamed, at least in part.
  bool streamed() const { return weight_bytes > 0; }
  // Nothing streams because devices have all of it.
  bool on_devices() const { return !streamed() && uploaded_bytes > 0; }
};

Statistics ReadStatistics(const Snapshot& snapshot);

// For each drive: "sda1: 60 % of the bytes, 2.10 GB/s".
std::vector<std::string> DriveLines(const Statistics& statistics);

// "loading resident weights 1.20 of 1.90 GiB" while the first pass brings them in, else "".
std::string ProgressText(const Statistics& statistics);

// A few lines after a run: what was resident and streamed, what was read and how fast, experts, decode speed.
// One line when nothing was streamed; `on_devices`: it is known that no weight was left to the processor.
std::vector<std::string> SummaryLines(const Statistics& statistics, bool on_devices = false);

}  // namespace headrace::cli
