#include "cli/machine_measure.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/size.h"
#include "io/reader.h"

namespace headrace::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr uint32_t kPieceBytes = 2 << 20;
constexpr unsigned kDepth = 16;
constexpr uint64_t kRunPieces = 16;   // pieces read in sequence before the next random start
// The fastest stretch of this many bytes counts: what else the machine does at the moment only slows it.
constexpr uint64_t kWindowBytes = 64 * kMiB;
constexpr uint64_t kMemoryBytes = 128 * kMiB;

double Since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};

// The next piece to read: runs from random page-aligned places.
class Walk {
 public:
  explicit Walk(uint64_t file_bytes) : pages_(file_bytes / kPageBytes), random_(std::random_device{}()) {}

  ReadRequest Next(const SourceFile& file) {
    const uint64_t file_bytes = pages_ * kPageBytes;
    if (left_in_run_ == 0 || position_ >= file_bytes) {
      const uint64_t run_pages = std::min(pages_, kRunPieces * kPieceBytes / kPageBytes);
      position_ = std::uniform_int_distribution<uint64_t>(0, pages_ - run_pages)(random_) * kPageBytes;
      left_in_run_ = kRunPieces;
    }
    --left_in_run_;
    ReadRequest request;
    request.file = &file;
    request.offset = position_;
    request.length = static_cast<uint32_t>(std::min<uint64_t>(kPieceBytes, file_bytes - position_));
    position_ += request.length;
    return request;
  }

 private:
  uint64_t pages_;
  uint64_t position_ = 0;
  uint64_t left_in_run_ = 0;
  std::mt19937_64 random_;
};

}  // namespace

Result<DiskSpeed> MeasureDisk(const std::string& path, SourceFile::Access access, const DiskLimits& limits,
                              const std::function<void(double)>& progress) {
  auto file = SourceFile::Open(path, access);
  if (!file.ok()) return file.status();
  if (file->size() < kPageBytes) {
    return Status(Code::kInvalidArgument, fmt::format("{} is too small to measure the disk with: {}", path, FormatSize(file->size())));
  }
  // The buffer outlives the reader, whose destructor waits for what is in flight.
  const std::unique_ptr<void, FreeDeleter> buffer(std::aligned_alloc(kPageBytes, size_t{kDepth} * kPieceBytes));
  if (buffer == nullptr) return Status(Code::kIo, "no memory for measuring the disk");
  auto reader = MakeReader(ReaderKind::kAuto, kDepth);
  if (!reader.ok()) return reader.status();

  Walk walk(file->size());
  const auto request = [&](uint64_t slot) {
    ReadRequest next = walk.Next(*file);
    next.destination = static_cast<char*>(buffer.get()) + slot * kPieceBytes;
    next.tag = slot;
    return next;
  };
  std::vector<uint32_t> lengths(kDepth, 0);
  DiskSpeed speed;
  speed.direct = file->direct();
  speed.reader = std::string((*reader)->name());
  const auto start = Clock::now();
  std::vector<ReadRequest> requests;
  for (unsigned slot = 0; slot < std::min(kDepth, (*reader)->depth()); ++slot) {
    requests.push_back(request(slot));
    lengths[slot] = requests.back().length;
  }
  std::vector<ReadResult> results;
  double seconds = 0;
  double window_start = 0;
  uint64_t window_bytes = 0;
  // The queue is full all the time: the loop ends when it would no longer be refilled.
  while (true) {
    (*reader)->Submit(requests);
    requests.clear();
    results.clear();
    (*reader)->Collect(true, results);
    for (const ReadResult& result : results) {
      if (!result.status.ok()) return result.status;
      speed.bytes += lengths[result.tag];
      window_bytes += lengths[result.tag];
      requests.push_back(request(result.tag));
      lengths[result.tag] = requests.back().length;
    }
    seconds = Since(start);
    if (window_bytes >= kWindowBytes && seconds > window_start) {
      speed.bytes_per_s = std::max(speed.bytes_per_s, static_cast<double>(window_bytes) / (seconds - window_start));
      window_start = seconds;
      window_bytes = 0;
    }
    if (progress) {
      progress(std::min(1.0, std::max(seconds / limits.seconds, static_cast<double>(speed.bytes) / static_cast<double>(limits.bytes))));
    }
    if (results.empty() || seconds >= limits.seconds || speed.bytes >= limits.bytes) break;
  }
  // A disk too slow to fill one window within the limits.
  if (speed.bytes_per_s == 0 && seconds > 0) speed.bytes_per_s = static_cast<double>(speed.bytes) / seconds;
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
