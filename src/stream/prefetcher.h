// Reads what a pass will need ahead of the computation, through a ring of memory, and goes on into the
// next pass while the host samples a token. Knows byte ranges and their order; nothing of tensors.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <vector>

#include "base/status.h"
#include "io/read_service.h"
#include "memory/headroom.h"
#include "memory/region.h"

namespace headrace {

// A run of bytes of one file that is needed in one piece.
struct Segment {
  const SourceFile* file = nullptr;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  friend bool operator==(const Segment&, const Segment&) = default;
};

// Several threads consume: one announces a pass, then any of them awaits its segments by their number, as often as
// wanted, and releases each when nobody uses its bytes any more. A segment is read when those before it have found
// their place in the ring, so they must be released, in any order, by somebody who does not wait for a later one. Files
// must outlive their segments: Reset() before one goes.
class Prefetcher final : private ReadClient {
 public:
  // The bytes of one read that reach the speed of the disk with little memory.
  static constexpr uint32_t kChunkBytes = 512 * 1024;
  // The most segments that are read ahead.
  static constexpr size_t kMostAhead = 256;

  // `reads` outlives it. `ring` is committed memory. Every segment must span at most a third of it. Where `headroom`,
  // which outlives it, has no room the part of the ring that was never used stays so while another one serves. Null:
  // there is always room. `kind` is that of its reads.
  Prefetcher(ReadService& reads, Region ring, Headroom* headroom = nullptr, ReadKind kind = ReadKind::kOrder);
  // Waits for the reads in flight.
  ~Prefetcher() override;
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // Announces what is consumed from now on: the segments of the pass that starts, numbered from 0, and of the one that
  // is expected to follow (and to repeat). Also within a pass, when the rest of it is known better than before; nobody
  // uses any bytes then. What was read ahead is kept as far as it is what is now wanted first, in the same order; what
  // else was read ahead, also in between, is dropped.
  void Announce(std::vector<Segment> pass, std::vector<Segment> next);
  struct Arrival {
    const uint8_t* data = nullptr;  // first byte of the segment; valid until Release
    uint64_t bytes = 0;             // leading bytes that have arrived
  };
  // Blocks until at least `bytes` leading bytes of the segment have arrived. Errors: the read's.
  Result<Arrival> Await(size_t segment, uint64_t bytes);
  // Whether Await would return at once.
  bool Arrived(size_t segment, uint64_t bytes) const;
  // The pass has failed: whoever awaits a segment gets this error, until the next Announce or Reset. An error that
  // Await returns does so by itself.
  void Cancel(const Status& error);
  // Leaves a segment, all of which was awaited.
  void Release(size_t segment);

  // Forgets everything that was read or announced, for instance after an error. Returns when nothing is read any more.
  void Reset();

 private:
  struct Entry {
    Segment segment;
    uint64_t id = 0;        // grows with each
    uint64_t position = 0;  // in the ring
    uint64_t span = 0;      // whole pages
    uint32_t chunks = 0;
    uint32_t issued = 0;  // chunks handed to the reader
    uint32_t finished = 0;
    uint32_t arrived = 0;  // leading chunks that are complete
    std::vector<bool> complete;
    bool released = false;
    Status error;

    uint64_t lead() const { return segment.offset % kReadAlignment; }
    uint64_t arrived_bytes() const;
  };

  bool NextRead(ReadKind kind, ReadRequest& request) override;
  void ReadsEnded(std::span<const ReadResult> results) override;
  bool AdmitSegment();                               // needs mutex_
  void Finish(const ReadResult& result);             // needs mutex_
  const Segment* Upcoming(uint64_t index) const;     // needs mutex_
  const Entry* Find(size_t segment) const;           // needs mutex_
  bool Ready(size_t segment, uint64_t bytes) const;  // needs mutex_
  void WakeAll();                                    // needs mutex_
  void Drop(Entry entry);                            // needs mutex_

  ReadService& reads_;
  const Region ring_;
  Headroom* const headroom_;
  const ReadKind kind_;

  mutable std::mutex mutex_;        // guards all below
  std::condition_variable landed_;  // reads of dropped entries have ended
  std::vector<Segment> pass_, next_;
  uint64_t admitted_ = 0;       // segments of pass_ + next_... that have (had) an entry
  std::deque<Entry> entries_;   // in the order of use; the first is not released
  std::vector<Entry> dropped_;  // that are still read; they hold their part of the ring
  uint64_t next_id_ = 0;
  uint64_t first_ = 0;                 // the number of entries_.front() in what was announced
  std::map<uint64_t, uint64_t> used_;  // parts of the ring that entries hold: begin -> end
  uint64_t touched_ = 0;               // leading bytes of the ring that entries have had
  // A consumer that sleeps. Each has a signal of its own: an arrival wakes those whose bytes have come, and nobody
  // else.
  struct Wait {
    size_t segment = 0;
    uint64_t bytes = 0;
    std::condition_variable arrived;
  };
  std::vector<Wait*> waits_;
  Status cancelled_;
};

}  // namespace headrace
