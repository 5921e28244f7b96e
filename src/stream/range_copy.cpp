#include "stream/range_copy.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace headrace {
namespace {

// Of a file that is read on: more is announced when it is reached.
constexpr uint64_t kAnnouncedBytes = kGiB;

// A gap that is read and dropped, which costs less than the reads ahead that a jump drops.
constexpr uint64_t kSmallGap = 2 * kMiB;

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

void RangeCopy::Announce(const std::shared_ptr<const SourceFile>& file, uint64_t begin, uint64_t end) {
  std::vector<Segment> pieces;
  for (uint64_t at = begin; at < end; at += kPieceBytes) pieces.push_back({file.get(), at, std::min(kPieceBytes, end - at)});
  if (file != file_) ring_->Reset();
  file_ = file;
  begin_ = begin;
  end_ = end;
  next_ = 0;
  ring_->Announce(std::move(pieces), {});
}

Status RangeCopy::TakeFrom(size_t piece, uint64_t begin, uint64_t end, uint64_t offset, const Take& take, bool done) {
  const uint64_t first = begin_ + piece * kPieceBytes, bytes = std::min(kPieceBytes, end_ - first);
  const auto arrived = ring_->Await(piece, done ? bytes : end - first);
  if (!arrived.ok()) {
    ring_->Reset();
    file_.reset();
    return arrived.status();
  }
  if (begin < end) take(arrived->data + (begin - first), offset, end - begin);
  if (done) {
    ring_->Release(piece);
    next_ = piece + 1;
  }
  return {};
}

Status RangeCopy::Copy(const std::shared_ptr<const SourceFile>& file, uint64_t offset, uint64_t bytes, const Take& take) {
  const std::lock_guard lock(mutex_);
  HEADRACE_RETURN_IF_ERROR(Open());
  Announce(file, offset, offset + bytes);
  for (uint64_t at = 0; at < bytes; at += kPieceBytes) {
    HEADRACE_RETURN_IF_ERROR(TakeFrom(next_, offset + at, offset + std::min(bytes, at + kPieceBytes), at, take, true));
  }
  return {};
}

Status RangeCopy::CopyAndReadOn(const std::shared_ptr<const SourceFile>& file, uint64_t offset, uint64_t bytes, const Take& take) {
  const std::lock_guard lock(mutex_);
  HEADRACE_RETURN_IF_ERROR(Open());
  for (uint64_t at = offset, end = offset + bytes; at < end;) {
    const uint64_t unread = begin_ + next_ * kPieceBytes;
    if (file != file_ || at < unread || at > unread + kSmallGap + kPieceBytes || at >= end_) {
      Announce(file, AlignDown(at, kPageBytes), std::min(file->size(), std::max(end, AlignDown(at, kPageBytes) + kAnnouncedBytes)));
    }
    const auto piece = static_cast<size_t>((at - begin_) / kPieceBytes);
    while (next_ < piece) HEADRACE_RETURN_IF_ERROR(TakeFrom(next_, 0, 0, 0, take, true));
    const uint64_t piece_end = std::min(begin_ + (piece + 1) * kPieceBytes, end_), stop = std::min(end, piece_end);
    HEADRACE_RETURN_IF_ERROR(TakeFrom(piece, at, stop, at - offset, take, stop == piece_end));
    at = stop;
  }
  return {};
}

void RangeCopy::CloseIfIdle() {
  if (!open_ || used_.exchange(false)) return;
  Close();
}

void RangeCopy::Close(const std::function<void()>& then) {
  const std::lock_guard lock(mutex_);
  ring_.reset();
  file_.reset();
  open_ = false;
  if (then) then();
}

}  // namespace headrace
