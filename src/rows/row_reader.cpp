#include "rows/row_reader.h"

#include <algorithm>
#include <cstring>

#include "base/size.h"

namespace headrace {

RowReader::RowReader(ReadService& reads, Region buffers, uint64_t buffer_bytes)
    : reads_(reads),
      buffers_(std::move(buffers)),
      buffer_bytes_(buffer_bytes),
      flights_(buffers_.bytes() / buffer_bytes) {
  reads_.Attach(*this);
}

RowReader::~RowReader() { reads_.Detach(*this); }

void RowReader::Begin(const SourceFile& file, uint64_t row_bytes, std::vector<WantedRow> rows) {
  if (rows.empty()) return;
  Batch batch{&file, row_bytes, std::move(rows), {}, 0, 0};
  batch.reads = MergeRows(batch.rows, row_bytes, buffer_bytes_, kReadAlignment);
  {
    const std::lock_guard lock(mutex_);
    batches_.push_back(std::move(batch));
  }
  reads_.Wake();
}

Status RowReader::Wait() {
  std::unique_lock lock(mutex_);
  progress_.wait(lock, [this] { return batches_.empty(); });
  return std::exchange(error_, {});
}

bool RowReader::NextRead(ReadKind kind, ReadRequest& request) {
  if (kind != ReadKind::kDemand) return false;
  const std::lock_guard lock(mutex_);
  const auto batch =
      std::find_if(batches_.begin(), batches_.end(), [](const Batch& b) { return b.begun < b.reads.size(); });
  if (batch == batches_.end()) return false;
  const auto flight =
      std::find_if(flights_.begin(), flights_.end(), [](const Flight& f) { return f.batch == nullptr; });
  if (flight == flights_.end()) return false;
  *flight = {&*batch, batch->reads[batch->begun++]};
  const auto index = static_cast<uint64_t>(flight - flights_.begin());
  request = {batch->file, flight->read.offset, static_cast<uint32_t>(flight->read.bytes),
             buffers_.data() + index * buffer_bytes_, index};
  return true;
}

// After an error nothing more of what was begun is read: whoever waits fails.
void RowReader::Finish(const ReadResult& result) {
  Flight& flight = flights_[result.tag];
  Batch& batch = *flight.batch;
  if (result.status.ok()) {
    bytes_read_ += flight.read.bytes;
    const std::byte* const buffer = buffers_.data() + result.tag * buffer_bytes_;
    for (size_t i = flight.read.first_row; i < flight.read.first_row + flight.read.rows; ++i) {
      std::memcpy(batch.rows[i].destination, buffer + (batch.rows[i].offset - flight.read.offset), batch.row_bytes);
    }
  } else {
    if (error_.ok()) error_ = result.status;
    for (Batch& other : batches_) other.reads.resize(other.begun);
  }
  ++batch.finished;
  flight.batch = nullptr;
  while (!batches_.empty() && batches_.front().finished == batches_.front().reads.size()) batches_.pop_front();
}

void RowReader::ReadsEnded(std::span<const ReadResult> results) {
  const std::lock_guard lock(mutex_);
  for (const ReadResult& result : results) Finish(result);
  if (batches_.empty()) progress_.notify_all();
}

uint64_t RowReader::bytes_read() const {
  const std::lock_guard lock(mutex_);
  return bytes_read_;
}

}  // namespace headrace
