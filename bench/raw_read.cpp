#include "raw_read.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/size.h"

namespace headrace::bench {
namespace {

constexpr uint64_t kMostInFlightBytes = 128 * kMiB;
constexpr uint64_t kHugePageBytes = 2 * kMiB;

struct Free {
  void operator()(void* p) const { std::free(p); }
};

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

RawReader::RawReader(const SourceFile& file, std::vector<ByteRange> ranges, ReaderKind kind)
    : file_(&file), ranges_(std::move(ranges)), kind_(kind) {
  for (const ByteRange& range : ranges_) round_bytes_ += range.length;
}

Result<RawReader> RawReader::Make(const SourceFile& file, std::vector<ByteRange> ranges, ReaderKind kind) {
  if (ranges.empty()) return Status(Code::kInvalidArgument, "no byte ranges to read");
  for (ByteRange& range : ranges) {
    if (range.length == 0 || range.offset >= file.size() || range.length > file.size() - range.offset) {
      return Status(Code::kInvalidArgument, fmt::format("range {} {} does not lie in {}, which has {} bytes",
                                                        range.offset, range.length, file.path(), file.size()));
    }
    const uint64_t end = AlignUp(range.offset + range.length, kReadAlignment);
    range.offset = AlignDown(range.offset, kReadAlignment);
    range.length = end - range.offset;
  }
  return RawReader(file, std::move(ranges), kind);
}

ReadRequest RawReader::NextRequest(uint32_t chunk_bytes) {
  const ByteRange& range = ranges_[range_];
  const uint64_t length = std::min<uint64_t>(chunk_bytes, range.length - position_);
  const ReadRequest request{file_, range.offset + position_, static_cast<uint32_t>(length), nullptr, 0};
  position_ += length;
  if (position_ == range.length) {
    position_ = 0;
    range_ = (range_ + 1) % ranges_.size();
  }
  return request;
}

Result<ReadRate> RawReader::Run(ReadShape shape, double seconds) {
  auto reader = MakeReader(kind_, shape.depth);
  if (!reader.ok()) return reader.status();
  const unsigned depth = std::min(shape.depth, (*reader)->depth());
  const uint64_t buffer_bytes = AlignUp(uint64_t{shape.chunk_bytes} * depth, kHugePageBytes);
  const std::unique_ptr<uint8_t, Free> buffer(static_cast<uint8_t*>(std::aligned_alloc(kHugePageBytes, buffer_bytes)));
  if (!buffer) return Status(Code::kOutOfBudget, fmt::format("no {} for read buffers", FormatSize(buffer_bytes)));
  ::madvise(buffer.get(), buffer_bytes, MADV_HUGEPAGE);
  std::fill_n(buffer.get(), buffer_bytes, uint8_t{0});

  std::vector<uint32_t> lengths(depth);
  const auto request_into = [&](unsigned slot) {
    ReadRequest request = NextRequest(shape.chunk_bytes);
    request.destination = buffer.get() + uint64_t{slot} * shape.chunk_bytes;
    request.tag = slot;
    lengths[slot] = request.length;
    return request;
  };
  std::vector<ReadRequest> requests;
  for (unsigned slot = 0; slot < depth; ++slot) requests.push_back(request_into(slot));

  ReadRate rate{{shape.chunk_bytes, depth}, 0, 0, 0};
  std::vector<ReadResult> results;
  const double start = Now();
  (*reader)->Submit(requests);
  while ((*reader)->in_flight() > 0) {
    results.clear();
    requests.clear();
    (*reader)->Collect(true, results);
    const double now = Now();
    const bool more = now - start < seconds;
    for (const ReadResult& result : results) {
      if (!result.status.ok()) return result.status;
      rate.bytes += lengths[result.tag];
      if (more) requests.push_back(request_into(static_cast<unsigned>(result.tag)));
    }
    rate.seconds = now - start;
    if (!requests.empty()) (*reader)->Submit(requests);
  }
  rate.retries = (*reader)->retries();
  return rate;
}

std::vector<ReadShape> SweptShapes() {
  std::vector<ReadShape> shapes;
  for (const uint64_t chunk : {256 * kKiB, 512 * kKiB, 1 * kMiB, 2 * kMiB, 4 * kMiB, 8 * kMiB}) {
    for (const unsigned depth : {2u, 4u, 8u, 16u, 32u, 64u}) {
      if (chunk * depth >= 2 * kMiB && chunk * depth <= kMostInFlightBytes)
        shapes.push_back({static_cast<uint32_t>(chunk), depth});
    }
  }
  return shapes;
}

Result<ReadShape> Sweep(RawReader& raw, std::vector<ReadShape> shapes, double seconds,
                        const std::function<void(const ReadRate&)>& tried) {
  constexpr size_t kFinalists = 4;
  constexpr int kFinalRounds = 3;
  std::sort(shapes.begin(), shapes.end());
  shapes.erase(std::unique(shapes.begin(), shapes.end()), shapes.end());
  if (shapes.size() == 1) return shapes.front();

  std::vector<std::pair<double, ReadShape>> rates;  // bytes per second
  for (const ReadShape& shape : shapes) {
    const auto rate = raw.Run(shape, seconds);
    if (!rate.ok()) return rate.status();
    tried(*rate);
    rates.emplace_back(rate->bytes_per_s(), shape);
  }
  std::sort(rates.rbegin(), rates.rend());
  rates.resize(std::min(rates.size(), kFinalists));
  for (auto& [sum, shape] : rates) sum = 0;
  for (int round = 0; round < kFinalRounds; ++round) {
    for (auto& [sum, shape] : rates) {
      const auto rate = raw.Run(shape, seconds);
      if (!rate.ok()) return rate.status();
      tried(*rate);
      sum += rate->bytes_per_s();
    }
  }
  return std::max_element(rates.begin(), rates.end())->second;
}

}  // namespace headrace::bench
