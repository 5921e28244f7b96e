#include "learned/machine_measure.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/size.h"
#include "io/reader.h"
#include "memory/region.h"
#include "stream/prefetcher.h"
#include "telemetry/disturbance.h"

namespace headrace::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr uint64_t kSegmentBytes = 4 * kMiB;
constexpr uint64_t kRunSegments = 8;  // read in sequence before the next random start
constexpr uint64_t kRingBytes = 16 * kMiB;
// The fastest stretch of this many bytes counts: what else the machine does at the moment only slows it.
constexpr uint64_t kWindowBytes = 64 * kMiB;
constexpr uint64_t kMemoryBytes = 128 * kMiB;

double Since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The next segments to read: runs from random page-aligned places.
std::vector<Segment> RandomRuns(const SourceFile& file, uint64_t bytes) {
  std::mt19937_64 random(std::random_device{}());
  const uint64_t pages = file.size() / kReadAlignment,
                 run_bytes = std::min(pages * kReadAlignment, kRunSegments * kSegmentBytes);
  std::vector<Segment> segments;
  for (uint64_t sum = 0; sum < bytes; sum += run_bytes) {
    const uint64_t begin =
        std::uniform_int_distribution<uint64_t>(0, pages - run_bytes / kReadAlignment)(random) * kReadAlignment;
    for (uint64_t at = 0; at < run_bytes; at += kSegmentBytes)
      segments.push_back({&file, begin + at, std::min(kSegmentBytes, run_bytes - at)});
  }
  return segments;
}

}  // namespace

Result<DiskSpeed> MeasureDisk(const std::string& path, SourceFile::Access access, const DiskLimits& limits,
                              const std::function<void(double)>& progress) {
  auto file = SourceFile::Open(path, access);
  if (!file.ok()) return file.status();
  if (file->size() < kReadAlignment) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} is too small to measure the disk with: {}", path, FormatSize(file->size())));
  }
  auto ring = Region::Reserve(kRingBytes);
  if (!ring.ok()) return ring.status();
  HEADRACE_RETURN_IF_ERROR(ring->Commit(0, kRingBytes));
  // Memory that is touched for the first time is slower than many disks.
  std::memset(ring->data(), 1, kRingBytes);
  DiskSpeed speed;
  speed.direct = file->direct();
  ReadService reads([&](unsigned depth) {
    auto reader = MakeReader(ReaderKind::kAuto, depth);
    if (reader.ok()) speed.reader = std::string((*reader)->name());
    return reader;
  });
  HEADRACE_RETURN_IF_ERROR(reads.Start());
  Prefetcher prefetcher(reads, std::move(*ring));

  Disturbance disturbance;
  disturbance.Take({file->identity().device, 1, 0});
  const auto start = Clock::now();
  double seconds = 0;
  double window_start = 0;
  uint64_t window_bytes = 0;
  const std::vector<Segment> segments = RandomRuns(*file, limits.bytes);
  prefetcher.Announce(segments, {});
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i];
    const auto arrival = prefetcher.Await(i, segment.bytes);
    if (!arrival.ok()) return arrival.status();
    prefetcher.Release(i);
    speed.bytes += segment.bytes;
    window_bytes += segment.bytes;
    seconds = Since(start);
    if (window_bytes >= kWindowBytes && seconds > window_start) {
      speed.bytes_per_s = std::max(speed.bytes_per_s, static_cast<double>(window_bytes) / (seconds - window_start));
      window_start = seconds;
      window_bytes = 0;
    }
    if (progress) {
      progress(std::min(1.0, std::max(seconds / limits.seconds,
                                      static_cast<double>(speed.bytes) / static_cast<double>(limits.bytes))));
    }
    if (seconds >= limits.seconds || speed.bytes >= limits.bytes) break;
  }
  // A disk too slow to fill one window within the limits.
  if (speed.bytes_per_s == 0 && seconds > 0) speed.bytes_per_s = static_cast<double>(speed.bytes) / seconds;
  const uint64_t disturbed_ns = disturbance.Take({file->identity().device, speed.bytes_per_s, speed.bytes});
  speed.disturbed = static_cast<double>(disturbed_ns) / 1e9 > kMostDisturbed * seconds;
  return speed;
}

double MeasureMemory() {
  const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  const size_t words = kMemoryBytes / sizeof(uint64_t) / threads;
  std::vector<std::unique_ptr<uint64_t[]>> parts;
  for (unsigned i = 0; i < threads; ++i) {
    parts.emplace_back(new (std::nothrow) uint64_t[words]);
    if (parts.back() == nullptr) return 0;
  }
  std::vector<uint64_t> sums(threads, 0);
  const auto sweep = [&](bool write) {
    std::vector<std::thread> workers;
    const auto start = Clock::now();
    for (unsigned i = 0; i < threads; ++i) {
      workers.emplace_back([&, i] {
        uint64_t* part = parts[i].get();
        if (write) {
          std::memset(part, static_cast<int>(i + 1), words * sizeof(uint64_t));
          return;
        }
        uint64_t sum = 0;
        for (size_t k = 0; k < words; ++k) sum += part[k];
        sums[i] += sum;
      });
    }
    for (std::thread& worker : workers) worker.join();
    return Since(start);
  };
  sweep(true);
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    const double seconds = sweep(false);
    if (seconds > 0) best = std::max(best, static_cast<double>(threads * words * sizeof(uint64_t)) / seconds);
  }
  // Uses the sums, so that the loop stays.
  volatile uint64_t keep = 0;
  for (const uint64_t sum : sums) keep = keep + sum;
  return best;
}

}  // namespace headrace::cli
