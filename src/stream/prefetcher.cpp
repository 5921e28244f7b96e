#include "stream/prefetcher.h"

#include <algorithm>

#include "base/size.h"

namespace headrace {
namespace {

// A read's tag: the entry's id and the chunk within it.
constexpr unsigned kChunkBits = 24;
uint64_t Tag(uint64_t id, uint32_t chunk) { return id << kChunkBits | chunk; }

}  // namespace

uint64_t Prefetcher::Entry::arrived_bytes() const {
  const uint64_t end = std::min(span, uint64_t{arrived} * kChunkBytes);
  return end <= lead() ? 0 : std::min(segment.bytes, end - lead());
}

Prefetcher::Prefetcher(ReadService& reads, Region ring, Headroom* headroom, ReadKind kind)
    : reads_(reads), ring_(std::move(ring)), headroom_(headroom), kind_(kind) {
  reads_.Attach(*this);
}

Prefetcher::~Prefetcher() { reads_.Detach(*this); }

void Prefetcher::Announce(std::vector<Segment> pass, std::vector<Segment> next) {
  {
    const std::lock_guard lock(mutex_);
    pass_ = std::move(pass);
    next_ = std::move(next);
    cancelled_ = {};
    first_ = admitted_ = 0;
    std::deque<Entry> before;
    before.swap(entries_);
    for (Entry& entry : before) {
      const Segment* const wanted = Upcoming(admitted_);
      if (wanted == nullptr || !(*wanted == entry.segment) || !entry.error.ok() || entry.released) {
        Drop(std::move(entry));
      } else {
        entries_.push_back(std::move(entry));
        ++admitted_;
      }
    }
  }
  reads_.Wake();
}

// Its part of the ring is free when nothing is read into it any more.
void Prefetcher::Drop(Entry entry) {
  if (entry.issued > entry.finished) {
    dropped_.push_back(std::move(entry));
  } else if (!entry.released) {
    used_.erase(entry.position);
  }
}

const Prefetcher::Entry* Prefetcher::Find(size_t segment) const {
  return segment >= first_ && segment - first_ < entries_.size() ? &entries_[segment - first_] : nullptr;
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
    Entry& entry = entries_[segment - first_];
    entry.released = true;
    used_.erase(entry.position);
    while (!entries_.empty() && entries_.front().released) {
      entries_.pop_front();
      ++first_;
    }
  }
  reads_.Wake();
}

void Prefetcher::Reset() {
  std::unique_lock lock(mutex_);
  pass_.clear();
  next_.clear();
  cancelled_ = {};
  for (Entry& entry : entries_) Drop(std::move(entry));
  entries_.clear();
  first_ = admitted_ = 0;
  landed_.wait(lock, [this] { return dropped_.empty(); });
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
  entry.id = next_id_++;
  entry.segment = *segment;
  entry.span = AlignUp(entry.lead() + segment->bytes, kReadAlignment);
  for (const auto& [begin, end] : used_) {
    if (begin - entry.position >= entry.span) break;
    entry.position = end;
  }
  const uint64_t end = entry.position + entry.span;
  if (end > ring_.bytes()) return false;
  const bool touched =
      end <= touched_ || headroom_ == nullptr || headroom_->Touch(ring_.data() + touched_, end - touched_);
  if (!touched && !entries_.empty()) return false;
  touched_ = std::max(touched_, end);
  entry.chunks = static_cast<uint32_t>((entry.span + kChunkBytes - 1) / kChunkBytes);
  entry.complete.assign(entry.chunks, false);
  used_.emplace(entry.position, end);
  entries_.push_back(std::move(entry));
  ++admitted_;
  return true;
}

bool Prefetcher::NextRead(ReadKind kind, ReadRequest& request) {
  if (kind != kind_) return false;
  const std::lock_guard lock(mutex_);
  // Segments are admitted one at a time: only the last one can have chunks left to issue.
  const bool open = !entries_.empty() && entries_.back().issued < entries_.back().chunks;
  if (!open && !AdmitSegment()) return false;
  Entry& entry = entries_.back();
  const uint64_t from = uint64_t{entry.issued} * kChunkBytes;
  request.file = entry.segment.file;
  request.offset = AlignDown(entry.segment.offset, kReadAlignment) + from;
  request.length = static_cast<uint32_t>(std::min<uint64_t>(kChunkBytes, entry.span - from));
  request.destination = ring_.data() + entry.position + from;
  request.tag = Tag(entry.id, entry.issued);
  ++entry.issued;
  return true;
}

void Prefetcher::ReadsEnded(std::span<const ReadResult> results) {
  const std::lock_guard lock(mutex_);
  for (const ReadResult& result : results) Finish(result);
  for (Wait* wait : waits_) {
    if (Ready(wait->segment, wait->bytes)) wait->arrived.notify_one();
  }
}

void Prefetcher::Finish(const ReadResult& result) {
  const uint64_t id = result.tag >> kChunkBits;
  const auto chunk = static_cast<uint32_t>(result.tag & ((1u << kChunkBits) - 1));
  const auto is_it = [&](const Entry& entry) { return entry.id == id; };
  if (const auto dropped = std::find_if(dropped_.begin(), dropped_.end(), is_it); dropped != dropped_.end()) {
    if (++dropped->finished < dropped->issued) return;
    if (!dropped->released) used_.erase(dropped->position);
    dropped_.erase(dropped);
    if (dropped_.empty()) landed_.notify_all();
    return;
  }
  Entry& entry = *std::find_if(entries_.rbegin(), entries_.rend(), is_it);
  ++entry.finished;
  if (!result.status.ok()) {
    if (entry.error.ok()) entry.error = result.status;
    return;
  }
  entry.complete[chunk] = true;
  while (entry.arrived < entry.chunks && entry.complete[entry.arrived]) ++entry.arrived;
}

}  // namespace headrace
