// Reads rows of tables: many small reads at a time, each of whole pages into a buffer of its own, from which the rows are copied to where they are wanted.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/status.h"
#include "io/reader.h"
#include "memory/region.h"
#include "rows/row_ranges.h"

namespace headrace {

// One thread at a time uses it; another one, its own, reads.
class RowReader {
 public:
  // `buffers` is committed memory, which the caller has paid for, of as many buffers of `buffer_bytes` (whole pages) as the reader is deep. Errors: of the system.
  static Result<std::unique_ptr<RowReader>> Start(std::unique_ptr<Reader> reader, Region buffers, uint64_t buffer_bytes);
  // Stops after the reads in flight.
  ~RowReader();
  RowReader(const RowReader&) = delete;
  RowReader& operator=(const RowReader&) = delete;

  // Begins to read rows of `row_bytes` each; RowSpanBytes of it is at most a buffer. The file and the destinations stay until Wait has returned.
  void Begin(const SourceFile& file, uint64_t row_bytes, std::vector<WantedRow> rows);
  // Blocks until nothing that was begun is outstanding. Errors: the first of a read since the last time; what has not arrived by then is undefined.
  Status Wait();

  uint64_t bytes_read() const;
  uint64_t reads_failed() const;
  uint64_t reads_retried() const;

 private:
  // Rows that were asked for together.
  struct Batch {
    const SourceFile* file = nullptr;
    uint64_t row_bytes = 0;
    std::vector<WantedRow> rows;      // in the order of the file
    std::vector<RowRead> reads;
    size_t begun = 0;                 // reads
    size_t finished = 0;
  };
  // A read that the reader has. Its tag is the index in flights_, and its buffer has the same.
  struct Flight {
    Batch* batch = nullptr;           // null: there is none
    RowRead read;
  };

  RowReader(std::unique_ptr<Reader> reader, Region buffers, uint64_t buffer_bytes);
  void Run();
  bool NextRequest(ReadRequest& request);             // needs mutex_
  void Finish(const ReadResult& result);              // needs mutex_

  const std::unique_ptr<Reader> reader_;              // the thread's own
  const Region buffers_;
  const uint64_t buffer_bytes_;

  mutable std::mutex mutex_;                          // guards all below
  std::condition_variable progress_, work_;
  std::deque<Batch> batches_;                         // in order; stay where they are
  std::vector<Flight> flights_;                       // one for each buffer
  Status error_;                                      // the first one since the last Wait
  uint64_t bytes_read_ = 0, reads_failed_ = 0, reads_retried_ = 0;
  bool stop_ = false;

  std::thread thread_;                                // last: started when all else exists
};

}  // namespace headrace
