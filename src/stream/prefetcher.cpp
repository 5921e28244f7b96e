#include "stream/prefetcher.h"

#include <algorithm>

#include "base/size.h"
#include "io/read_loop.h"
#include "io/read_thread.h"

namespace headrace {
namespace {

// A result's tag: the entry's sequence number and the chunk within it.
constexpr unsigned kChunkBits = 24;
uint64_t Tag(uint64_t sequence, uint32_t chunk) { return sequence << kChunkBits | chunk; }

}  // namespace

uint64_t Prefetcher::Entry::arrived_bytes() const {
  const uint64_t end = std::min(span, uint64_t{arrived} * kChunkBytes);
  return end <= lead() ? 0 : std::min(segment.bytes, end - lead());
}

Prefetcher::Prefetcher(std::unique_ptr<Reader> reader, Region ring, Headroom* headroom)
    : reader_(std::move(reader)), ring_(std::move(ring)), headroom_(headroom) {}

Result<std::unique_ptr<Prefetcher>> Prefetcher::Start(std::unique_ptr<Reader> reader, Region ring, Headroom* headroom) {
  std::unique_ptr<Prefetcher> prefetcher(new Prefetcher(std::move(reader), std::move(ring), headroom));
  auto thread = StartReadThread("headrace-stream", [raw = prefetcher.get()] { raw->Run(); });
  if (!thread.ok()) return thread.status();
  prefetcher->thread_ = std::move(*thread);
  return prefetcher;
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Prefetcher::Announce(std::vector<Segment> pass, std::vector<Segment> next) {
  std::unique_lock lock(mutex_);
  pass_ = std::move(pass);
  next_ = std::move(next);
  cancelled_ = {};
  size_t kept = 0;
  while (kept < entries_.size()) {
    const Segment* wanted = Upcoming(kept);
    const Entry& entry = entries_[kept];
    if (wanted == nullptr || !(*wanted == entry.segment) || !entry.error.ok() || entry.released) break;
    ++kept;
  }
  if (kept < entries_.size()) DropFrom(kept, lock);
  announced_at_ = first_sequence_;
  admitted_ = kept;
  admitting_ = true;
  lock.unlock();
  work_.notify_one();
}

size_t Prefetcher::Hold() {
  const std::lock_guard lock(mutex_);
  admitting_ = false;
  return entries_.size();
}

const Prefetcher::Entry* Prefetcher::Find(size_t segment) const {
  const uint64_t sequence = announced_at_ + segment;
  return sequence >= first_sequence_ && sequence - first_sequence_ < entries_.size() ? &entries_[sequence - first_sequence_] : nullptr;
}

bool Prefetcher::Ready(size_t segment, uint64_t bytes) const {
  const Entry* entry = Find(segment);
  return !cancelled_.ok() || (entry != nullptr && (!entry->error.ok() || entry->arrived_bytes() >= bytes));
}

bool Prefetcher::Arrived(size_t segment, uint64_t bytes) const {
  const std::lock_guard lock(mutex_);
  return Ready(segment, bytes);
}

Result<Prefetcher::Arrival> Prefetcher::Await(size_t segment, uint64_t bytes) {
  std::unique_lock lock(mutex_);
  if (Find(segment) == nullptr && (segment < admitted_ || Upcoming(segment) == nullptr)) {
    return Status(Code::kInternal, "a segment was awaited that no pass announced");
  }
  if (!Ready(segment, bytes)) {
    Wait wait;
    wait.segment = segment;
    wait.bytes = bytes;
    waits_.push_back(&wait);
    wait.arrived.wait(lock, [&] { return Ready(segment, bytes); });
    std::erase(waits_, &wait);
  }
  if (!cancelled_.ok()) return cancelled_;
  const Entry& entry = *Find(segment);
  if (!entry.error.ok()) {
    cancelled_ = entry.error;
    WakeAll();
    return cancelled_;
  }
  return Arrival{reinterpret_cast<const uint8_t*>(ring_.data()) + entry.position + entry.lead(), entry.arrived_bytes()};
}

void Prefetcher::Cancel(const Status& error) {
  const std::lock_guard lock(mutex_);
  if (cancelled_.ok()) cancelled_ = error;
  WakeAll();
}

void Prefetcher::WakeAll() {
  for (Wait* wait : waits_) wait->arrived.notify_one();
}

void Prefetcher::Release(size_t segment) {
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[announced_at_ + segment - first_sequence_];
    entry.released = true;
    used_.erase(entry.position);
    while (!entries_.empty() && entries_.front().released) {
      entries_.pop_front();
      ++first_sequence_;
    }
  }
  work_.notify_one();
}

void Prefetcher::Reset() {
  std::unique_lock lock(mutex_);
  pass_.clear();
  next_.clear();
  cancelled_ = {};
  DropFrom(0, lock);
  announced_at_ = first_sequence_;
  admitted_ = 0;
}

// Removes entries from `index` on. Their reads in flight still write into the ring, so it waits for them.
void Prefetcher::DropFrom(size_t index, std::unique_lock<std::mutex>& lock) {
  admitting_ = false;
  progress_.wait(lock, [&] {
    return std::all_of(entries_.begin() + static_cast<std::ptrdiff_t>(index), entries_.end(),
                       [](const Entry& entry) { return entry.issued == entry.finished; });
  });
  for (size_t i = index; i < entries_.size(); ++i) {
    if (!entries_[i].released) used_.erase(entries_[i].position);
  }
  entries_.resize(index);
  admitting_ = true;
}

const Segment* Prefetcher::Upcoming(uint64_t index) const {
  if (index < pass_.size()) return &pass_[index];
  if (next_.empty()) return nullptr;
  return &next_[(index - pass_.size()) % next_.size()];
}

// Gives the next segment the lowest free place that is long enough. While the consumer keeps up with the disk
// that is memory which was used a moment ago: reads then land in the processor's cache, and a disk whose data
// the host copies is a quarter faster (docs/benchmarks.md).
bool Prefetcher::AdmitSegment() {
  const Segment* segment = Upcoming(admitted_);
  if (segment == nullptr || entries_.size() >= kMostAhead) return false;
  Entry entry;
  entry.segment = *segment;
  entry.span = AlignUp(entry.lead() + segment->bytes, kPageBytes);
  for (const auto& [begin, end] : used_) {
    if (begin - entry.position >= entry.span) break;
    entry.position = end;
  }
  const uint64_t end = entry.position + entry.span;
  if (end > ring_.bytes()) return false;
  const bool touched = end <= touched_ || headroom_ == nullptr || headroom_->Touch(ring_.data() + touched_, end - touched_);
  if (!touched && !entries_.empty()) return false;
  touched_ = std::max(touched_, end);
  entry.chunks = static_cast<uint32_t>((entry.span + kChunkBytes - 1) / kChunkBytes);
  entry.complete.assign(entry.chunks, false);
  used_.emplace(entry.position, end);
  entries_.push_back(std::move(entry));
  ++admitted_;
  return true;
}

bool Prefetcher::NextRequest(ReadRequest& request) {
  if (!admitting_ || stop_) return false;
  // Segments are admitted one at a time: only the last one can have chunks left to issue.
  const bool open = !entries_.empty() && entries_.back().issued < entries_.back().chunks;
  if (!open && !AdmitSegment()) return false;
  Entry& entry = entries_.back();
  const uint64_t from = uint64_t{entry.issued} * kChunkBytes;
  request.file = entry.segment.file;
  request.offset = AlignDown(entry.segment.offset, kPageBytes) + from;
  request.length = static_cast<uint32_t>(std::min<uint64_t>(kChunkBytes, entry.span - from));
  request.destination = ring_.data() + entry.position + from;
  request.tag = Tag(first_sequence_ + entries_.size() - 1, entry.issued);
  ++entry.issued;
  return true;
}

void Prefetcher::Finish(const ReadResult& result) {
  const uint64_t sequence = result.tag >> kChunkBits;
  const auto chunk = static_cast<uint32_t>(result.tag & ((1u << kChunkBits) - 1));
  Entry& entry = entries_[sequence - first_sequence_];
  ++entry.finished;
  if (!result.status.ok()) {
    reads_failed_.fetch_add(1, std::memory_order_relaxed);
    if (entry.error.ok()) entry.error = result.status;
    return;
  }
  const uint64_t from = uint64_t{chunk} * kChunkBytes;
  bytes_read_.fetch_add(std::min<uint64_t>(kChunkBytes, entry.span - from), std::memory_order_relaxed);
  entry.complete[chunk] = true;
  while (entry.arrived < entry.chunks && entry.complete[entry.arrived]) ++entry.arrived;
}

void Prefetcher::Run() {
  RunReadLoop(*reader_, mutex_, work_, stop_, [this](ReadRequest& request) { return NextRequest(request); },
              [this](const std::vector<ReadResult>& results) {
                reads_retried_.store(reader_->retries(), std::memory_order_relaxed);
                for (const ReadResult& result : results) Finish(result);
                for (Wait* wait : waits_) {
                  if (Ready(wait->segment, wait->bytes)) wait->arrived.notify_one();
                }
                if (!admitting_) progress_.notify_all();
              });
}

}  // namespace headrace
