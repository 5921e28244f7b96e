// Reads what a pass will need ahead of the computation, through a ring of memory, and goes on into the
// next pass while the host samples a token. Knows byte ranges and their order; nothing of tensors.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/status.h"
#include "io/reader.h"
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

// One thread reads. Several consume: one announces a pass, then any of them awaits its segments by their number, as often as wanted, and
// releases each when nobody uses its bytes any more. A segment is read when those before it have found their place in the ring, so they must be
// released, in any order, by somebody who does not wait for a later one. Files must outlive their segments: Reset() before one goes.
class Prefetcher {
 public:
  // The bytes of one read and the number in flight that reach the speed of the disk with little memory.
  static constexpr uint32_t kChunkBytes = 512 * 1024;
  static constexpr unsigned kDepth = 8;
  // The most segments that are read ahead.
  static constexpr size_t kMostAhead = 256;

  // `ring` is committed memory. Every segment must span at most a third of it. Where `headroom`, which outlives it, has no room the part of the ring
  // that was never used stays so while another one serves. Null: there is always room.
  static Result<std::unique_ptr<Prefetcher>> Start(std::unique_ptr<Reader> reader, Region ring, Headroom* headroom = nullptr);
  // Stops after the reads in flight and joins the thread.
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // Announces what is consumed from now on: the segments of the pass that starts, numbered from 0, and of the one that is
  // expected to follow (and to repeat). Also within a pass, when the rest of it is known better than before; nobody uses any bytes then.
  // What was read ahead and matches is kept; from the first difference on it is dropped.
  void Announce(std::vector<Segment> pass, std::vector<Segment> next);
  // Begins no more segments until the next Announce. Returns how many of those announced were begun and not
  // released: those that an Announce keeps if it begins with them. All before them were released.
  size_t Hold();

  struct Arrival {
    const uint8_t* data = nullptr;  // first byte of the segment; valid until Release
    uint64_t bytes = 0;             // leading bytes that have arrived
  };
  // Blocks until at least `bytes` leading bytes of the segment have arrived. Errors: the read's.
  Result<Arrival> Await(size_t segment, uint64_t bytes);
  // Whether Await would return at once.
  bool Arrived(size_t segment, uint64_t bytes) const;
  // The pass has failed: whoever awaits a segment gets this error, until the next Announce or Reset. An error that Await returns
  // does so by itself.
  void Cancel(const Status& error);
  // Leaves a segment, all of which was awaited.
  void Release(size_t segment);

  // Forgets everything that was read or announced, for instance after an error.
  void Reset();

  uint64_t bytes_read() const { return bytes_read_.load(std::memory_order_relaxed); }
  uint64_t reads_failed() const { return reads_failed_.load(std::memory_order_relaxed); }
  uint64_t reads_retried() const { return reads_retried_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    Segment segment;
    uint64_t position = 0;        // in the ring
    uint64_t span = 0;            // whole pages
    uint32_t chunks = 0;
    uint32_t issued = 0;          // chunks handed to the reader
    uint32_t finished = 0;
    uint32_t arrived = 0;         // leading chunks that are complete
    std::vector<bool> complete;
    bool released = false;
    Status error;

    uint64_t lead() const { return segment.offset % kPageBytes; }
    uint64_t arrived_bytes() const;
  };

  Prefetcher(std::unique_ptr<Reader> reader, Region ring, Headroom* headroom);
  void Run();
  bool NextRequest(ReadRequest& request);           // needs mutex_
  bool AdmitSegment();                              // needs mutex_
  void Finish(const ReadResult& result);            // needs mutex_
  const Segment* Upcoming(uint64_t index) const;    // needs mutex_
  const Entry* Find(size_t segment) const;          // needs mutex_
  bool Ready(size_t segment, uint64_t bytes) const; // needs mutex_
  void WakeAll();                                   // needs mutex_
  void DropFrom(size_t index, std::unique_lock<std::mutex>& lock);

  const std::unique_ptr<Reader> reader_;            // the thread's own
  const Region ring_;
  Headroom* const headroom_;
  std::atomic<uint64_t> bytes_read_{0};
  std::atomic<uint64_t> reads_failed_{0};
  std::atomic<uint64_t> reads_retried_{0};

  mutable std::mutex mutex_;                        // guards all below
  std::condition_variable work_;                    // wakes the thread: room, segments, stop
  std::condition_variable progress_;                // wakes who drops entries
  std::vector<Segment> pass_, next_;
  uint64_t admitted_ = 0;                           // segments of pass_ + next_... that have (had) an entry
  std::deque<Entry> entries_;                       // in the order of use; the first is not released
  uint64_t first_sequence_ = 0;                     // of entries_.front()
  uint64_t announced_at_ = 0;                       // the sequence number of the pass's segment 0
  std::map<uint64_t, uint64_t> used_;               // parts of the ring that entries hold: begin -> end
  uint64_t touched_ = 0;                            // leading bytes of the ring that entries have had
  // A consumer that sleeps. Each has a signal of its own: an arrival wakes those whose bytes have come, and nobody else.
  struct Wait {
    size_t segment = 0;
    uint64_t bytes = 0;
    std::condition_variable arrived;
  };
  std::vector<Wait*> waits_;
  Status cancelled_;
  bool admitting_ = true;
  bool stop_ = false;

  std::thread thread_;                              // last: started when all else exists
};

}  // namespace headrace
