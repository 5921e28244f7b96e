// Ranges of files handed on piece by piece, each while the disk reads the next: for bytes that go somewhere else at
// once, as weights to a device do. Knows nothing of tensors.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "base/size.h"
#include "base/status.h"
#include "io/read_service.h"
#include "memory/headroom.h"
#include "stream/load_order.h"
#include "stream/prefetcher.h"

namespace headrace {

// Thread-safe: one range at a time.
class RangeCopy {
 public:
  // What it holds while it is open, however much is copied.
  static constexpr uint64_t kRingBytes = 8 * kMiB;
  // The most bytes that are handed on at once.
  static constexpr uint64_t kPieceBytes = kMiB;

  // `reads` and `headroom` outlive it.
  RangeCopy(ReadService& reads, Headroom& headroom) : reads_(reads), headroom_(headroom) {}

  // Takes bytes at an offset in the range; they are no longer there when it returns.
  using Take = std::function<void(const uint8_t* data, uint64_t offset, uint64_t bytes)>;
  // Hands [offset, offset + bytes) of the file on, in order. Errors: the read's, those of the memory that is needed;
  // less was taken then.
  Status Copy(const std::shared_ptr<const SourceFile>& file, uint64_t offset, uint64_t bytes, const Take& take);
  // The same for the tensors of a model that is loaded: what will probably be asked for next (LoadOrder) is read
  // meanwhile.
  Status CopyAndReadOn(const std::shared_ptr<const SourceFile>& file, uint64_t offset, uint64_t bytes,
                       const Take& take);

  // Gives the memory back, unless a range was copied since this was called last.
  void CloseIfIdle();
  // Gives it back, and calls `then` before another range can be copied.
  void Close(const std::function<void()>& then = {});
  // That it holds now.
  uint64_t memory_bytes() const { return open_ ? kRingBytes : 0; }

 private:
  Status Open();  // needs mutex_
  // Takes a range, while those after it are read as far as the ring goes.
  Status TakeAll(const std::shared_ptr<const SourceFile>& file, const FileRange& range, std::span<const FileRange> next,
                 const Take& take);  // needs mutex_

  ReadService& reads_;
  Headroom& headroom_;
  std::atomic<bool> open_{false}, used_{false};

  std::mutex mutex_;  // guards all below
  std::unique_ptr<Prefetcher> ring_;
  std::shared_ptr<const SourceFile> file_;  // of what was copied last
  LoadOrder order_;                         // of that file
};

}  // namespace headrace
