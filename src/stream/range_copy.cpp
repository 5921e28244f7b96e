#include "stream/range_copy.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace headrace {
namespace {

// What is announced of what will be asked for. The ring holds less.
constexpr uint64_t kAheadBytes = 4 * RangeCopy::kRingBytes;

void AddPieces(const SourceFile& file, const FileRange& range, std::vector<Segment>& pieces) {
  for (uint64_t at = 0; at < range.bytes; at += RangeCopy::kPieceBytes) {
    pieces.push_back({&file, range.offset + at, std::min(RangeCopy::kPieceBytes, range.bytes - at)});
  }
}

}  // namespace

Status RangeCopy::Open() {
  used_ = true;
  if (ring_ != nullptr) return {};
  HEADRACE_RETURN_IF_ERROR(reads_.Start());
  auto memory = Region::Reserve(kRingBytes);
  if (!memory.ok()) return memory.status();
  HEADRACE_RETURN_IF_ERROR(memory->Commit(0, kRingBytes));
  ring_ = std::make_unique<Prefetcher>(reads_, std::move(*memory), &headroom_, ReadKind::kDemand);
  open_ = true;
  return {};
}

Status RangeCopy::TakeAll(const std::shared_ptr<const SourceFile>& file, const FileRange& range,
                          std::span<const FileRange> next, const Take& take) {
  if (file != file_) ring_->Reset();
  file_ = file;
  std::vector<Segment> pieces;
  AddPieces(*file, range, pieces);
  const size_t own = pieces.size();
  for (const FileRange& later : next) AddPieces(*file, later, pieces);
  ring_->Announce(std::move(pieces), {});
  for (size_t i = 0; i < own; ++i) {
    const uint64_t at = i * kPieceBytes, bytes = std::min(kPieceBytes, range.bytes - at);
    const auto arrived = ring_->Await(i, bytes);
    if (!arrived.ok()) {
      ring_->Reset();
      file_.reset();
      order_.Clear();
      return arrived.status();
    }
    take(arrived->data, at, bytes);
    ring_->Release(i);
  }
  return {};
}

Status RangeCopy::Copy(const std::shared_ptr<const SourceFile>& file, uint64_t offset, uint64_t bytes,
                       const Take& take) {
  const std::lock_guard lock(mutex_);
  HEADRACE_RETURN_IF_ERROR(Open());
  return TakeAll(file, {offset, bytes}, {}, take);
}

Status RangeCopy::CopyAndReadOn(const std::shared_ptr<const SourceFile>& file, uint64_t offset, uint64_t bytes,
                                const Take& take) {
  const std::lock_guard lock(mutex_);
  HEADRACE_RETURN_IF_ERROR(Open());
  if (file != file_) order_.Clear();
  order_.Add({offset, bytes});
  return TakeAll(file, {offset, bytes}, order_.Next(kAheadBytes, file->size()), take);
}

void RangeCopy::CloseIfIdle() {
  if (!open_ || used_.exchange(false)) return;
  Close();
}

void RangeCopy::Close(const std::function<void()>& then) {
  const std::lock_guard lock(mutex_);
  ring_.reset();
  file_.reset();
  order_.Clear();
  open_ = false;
  if (then) then();
}

}  // namespace headrace
