// Reads rows of tables: many small reads at a time, each of whole pages into a buffer of its own, from which the rows
// are copied to where they are wanted.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "base/status.h"
#include "io/read_service.h"
#include "memory/region.h"
#include "rows/row_ranges.h"

namespace headrace {

// One thread at a time uses it.
class RowReader final : private ReadClient {
 public:
  // `buffers` is committed memory, which the caller has paid for, of one buffer of `buffer_bytes` (whole pages) for
  // each read in flight. `reads` outlives it.
  RowReader(ReadService& reads, Region buffers, uint64_t buffer_bytes);
  // Waits for the reads in flight.
  ~RowReader() override;
  RowReader(const RowReader&) = delete;
  RowReader& operator=(const RowReader&) = delete;

  // Begins to read rows of `row_bytes` each; RowSpanBytes of it is at most a buffer. The file and the destinations stay
  // until Wait has returned.
  void Begin(const SourceFile& file, uint64_t row_bytes, std::vector<WantedRow> rows);
  // Blocks until nothing that was begun is outstanding. Errors: the first of a read since the last time; what has not
  // arrived by then is undefined.
  Status Wait();

  uint64_t bytes_read() const;

 private:
  // Rows that were asked for together.
  struct Batch {
    const SourceFile* file = nullptr;
    uint64_t row_bytes = 0;
    std::vector<WantedRow> rows;  // in the order of the file
    std::vector<RowRead> reads;
    size_t begun = 0;  // reads
    size_t finished = 0;
  };
  // A read that the service has. Its tag is the index in flights_, and its buffer has the same.
  struct Flight {
    Batch* batch = nullptr;  // null: there is none
    RowRead read;
  };

  bool NextRead(ReadKind kind, ReadRequest& request) override;
  void ReadsEnded(std::span<const ReadResult> results) override;
  void Finish(const ReadResult& result);  // needs mutex_

  ReadService& reads_;
  const Region buffers_;
  const uint64_t buffer_bytes_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable progress_;
  std::deque<Batch> batches_;    // in order; stay where they are
  std::vector<Flight> flights_;  // one for each buffer
  Status error_;                 // the first one since the last Wait
  uint64_t bytes_read_ = 0;
};

}  // namespace headrace
