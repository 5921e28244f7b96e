// What others may know of the drives that weights are read from.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace headrace {

// The most drives that are told of; more are read from, too.
inline constexpr size_t kMostDrives = 4;

// Written by the thread that reads, read by any.
struct DriveFigures {
  std::atomic<uint64_t> device{0};  // st_dev; 0: none yet
  std::atomic<uint64_t> bytes_read{0};
  std::atomic<uint64_t> bytes_per_s{0};   // measured while it reads; 0: unknown
  std::atomic<uint64_t> reads_failed{0};  // each was read from another drive, if there was one
};
using DriveTable = std::array<DriveFigures, kMostDrives>;

}  // namespace headrace
