#include "exec/uploader.h"

#include <algorithm>
#include <array>

#include "base/clock.h"

namespace headrace {
namespace {

// So small that several threads share one expert: the engine's own cache asks for one after the other.
constexpr uint64_t kThreadPieceBytes = 512 * kKiB;

bool Holds(const Takeover& takeover, const void* data) {
  const auto* const first = static_cast<const uint8_t*>(takeover.weight->tensor.data);
  return data >= first && data < first + takeover.weight->bytes();
}

}  // namespace

void Uploader::Begin() {
  failure_ = {};
  segment_ = 0;
  copied_ = from_memory_ = 0;
}

const Status& Uploader::BeforeCopy(const void* data) {
  Takeover* const takeover = failure_.ok() ? Find(data) : nullptr;
  if (takeover == nullptr || takeover->kept || takeover->experts == nullptr || takeover->experts->begun)
    return failure_;
  failure_ = LeaveUpTo(*takeover);
  if (failure_.ok()) failure_ = BeginExperts(*takeover);
  return failure_;
}

const Status& Uploader::Copy(const void* data, uint64_t bytes, const Origin& origin, const Take& take,
                             bool by_threads) {
  // However it ends: until then threads use what `take` names.
  struct Finishing {
    Uploader& uploader;
    ~Finishing() { uploader.Finish(); }
  } const finishing{*this};
  by_threads_ = by_threads;
  if (failure_.ok()) failure_ = CopyAny(data, bytes, origin, take);
  return failure_;
}

// What `copy` names stays until Finish.
void Uploader::Give(std::function<void()> copy) {
  if (by_threads_) return threads_.Give(std::move(copy));
  const uint64_t start = Now();
  copy();
  pass_.account().times.kernel_ns += Now() - start;
}

// Devices stage what they are given in memory of their own, as much as they are given at once.
void Uploader::GivePieces(const uint8_t* data, uint64_t offset, uint64_t bytes, uint8_t* keep_at,
                          const std::shared_ptr<void>& holds, const Take& take) {
  const uint64_t most = by_threads_ ? kThreadPieceBytes : RangeCopy::kPieceBytes;
  for (uint64_t at = 0; at < bytes; at += most) {
    uint8_t* const keep = keep_at == nullptr ? nullptr : keep_at + at;
    Give([&take, from = data + at, to = offset + at, piece = std::min(most, bytes - at), keep, holds] {
      take(from, to, piece);
      if (keep != nullptr) std::copy_n(from, piece, keep);
    });
  }
}

void Uploader::Finish() {
  const uint64_t start = Now();
  threads_.Finish();
  pass_.account().times.kernel_ns += Now() - start;
  use_.reset();
}

Status Uploader::CopyAny(const void* data, uint64_t bytes, const Origin& origin, const Take& take) {
  copied_ += bytes;
  if (Takeover* const takeover = Find(data)) {
    if (!takeover->kept) HEADRACE_RETURN_IF_ERROR(LeaveUpTo(*takeover));
    const uint64_t begin = origin.offset - takeover->weight->origin.offset;
    if (takeover->experts != nullptr) return CopyExperts(*takeover, begin, begin + bytes, origin, take);
    if (begin == 0 && bytes == takeover->weight->bytes()) return CopyWhole(*takeover, take);
  }
  return others_.Copy(origin.file, origin.offset, bytes, take);
}

const Status& Uploader::End(const ggml_tensor* node) {
  const Takeover* next = pass_.next();
  while (failure_.ok() && next != nullptr && next->upload && (node == nullptr || next->node == node)) {
    failure_ = Leave();
    next = pass_.next();
  }
  return failure_;
}

// The engine copies what it lacks in an order of its own.
Takeover* Uploader::FindKept(const void* data) {
  for (Takeover& takeover : pass_.plan.takeovers) {
    if (takeover.kept && Holds(takeover, data)) return &takeover;
  }
  return nullptr;
}

// The upload of that weight whose turn is the next; null: none is expected.
Takeover* Uploader::Find(const void* data) {
  if (Takeover* const kept = FindKept(data)) return kept;
  for (size_t turn = pass_.turn(); turn < pass_.plan.takeovers.size(); ++turn) {
    Takeover& takeover = pass_.plan.takeovers[turn];
    if (!takeover.upload) return nullptr;
    if (Holds(takeover, data)) return &takeover;
  }
  return nullptr;
}

// The turn of an upload ends, whether it was made or not.
Status Uploader::Leave() {
  Takeover& takeover = *pass_.next();
  HEADRACE_RETURN_IF_ERROR(ReleaseBelow(takeover, UINT64_MAX));
  segment_ = 0;
  pass_.EndTurn(takeover);
  return {};
}

// The turns of those before it end.
Status Uploader::LeaveUpTo(const Takeover& takeover) {
  while (pass_.next() != &takeover) HEADRACE_RETURN_IF_ERROR(Leave());
  return {};
}

// Passes the segments that end at or before a place in the weight.
Status Uploader::ReleaseBelow(Takeover& takeover, uint64_t place) {
  const uint64_t row_bytes = takeover.weight->cut.row_bytes;
  while (segment_ < takeover.segments.size()) {
    const SegmentRows& rows = takeover.segments[segment_];
    if ((rows.first_row + rows.rows) * row_bytes > place) break;
    const auto arrived = UseSegment(takeover, rows.rows * row_bytes);
    if (!arrived.ok()) return arrived.status();
    Pass();
  }
  return {};
}

// The segment whose turn it is, when leading bytes of it have arrived.
Result<const uint8_t*> Uploader::UseSegment(Takeover& takeover, uint64_t bytes) {
  const auto arrived = pass_.Await(takeover, segment_, bytes, pass_.account().times.wait_ns);
  if (!arrived.ok()) return arrived.status();
  if (use_ == nullptr) use_.reset(new SegmentUse{pass_.prefetcher(), takeover.first_segment + segment_});
  return arrived->data;
}

// All of it has arrived, and no more of it is wanted.
void Uploader::Pass() {
  use_->passed = true;
  use_.reset();
  ++segment_;
}

// Bytes from `begin` in the stack on, all of one expert.
void Uploader::TakeExpert(const uint8_t* data, uint64_t begin, uint64_t bytes, uint64_t expert_bytes, uint64_t offset,
                          const Take& take, const std::shared_ptr<void>& holds) {
  if (begin % expert_bytes == 0) std::copy_n(data, std::min<uint64_t>(bytes, head_.size()), head_.data());
  GivePieces(data, offset, bytes, nullptr, holds, take);
}

Status Uploader::CopyWhole(Takeover& takeover, const Take& take) {
  bool changed = false;
  HEADRACE_RETURN_IF_ERROR(pass_.BeginTurn(takeover, changed));
  Weight& weight = *takeover.weight;
  const uint64_t row_bytes = weight.cut.row_bytes, resident = takeover.resident_rows * row_bytes;
  from_memory_ += resident;
  GivePieces(weight.ResidentRow(0), 0, resident, nullptr, nullptr, take);
  while (segment_ < takeover.segments.size()) {
    const SegmentRows& rows = takeover.segments[segment_];
    const uint64_t bytes = rows.rows * row_bytes;
    const auto room = pass_.RoomToKeep(weight, rows, weight.resident_rows);
    if (!room.ok()) return room.status();
    const auto arrived = UseSegment(takeover, bytes);
    if (!arrived.ok()) return arrived.status();
    uint8_t* const kept = *room ? weight.ResidentRow(rows.first_row) : nullptr;
    GivePieces(*arrived, rows.first_row * row_bytes, bytes, kept, use_, take);
    if (kept != nullptr) weight.resident_rows = std::max(weight.resident_rows, rows.first_row + rows.rows);
    Pass();
  }
  return Leave();
}

// Of a stack of experts, in any pieces: the engine copies runs of those that were chosen, and a little of what follows,
// so that kernels which read beyond a matrix find no NaN there. Nothing is computed from that: where it is not in
// memory the same part of the expert before serves, which saves a read that would wait for all others.
Status Uploader::CopyExperts(Takeover& takeover, uint64_t begin, uint64_t end, const Origin& origin, const Take& take) {
  if (!takeover.experts->begun) HEADRACE_RETURN_IF_ERROR(BeginExperts(takeover));
  const uint64_t expert_bytes = takeover.weight->bytes() / takeover.experts->experts;
  for (uint64_t at = begin; at < end;) {
    const uint64_t stop = std::min(end, (at / expert_bytes + 1) * expert_bytes), offset = at - begin;
    auto copied = CopyFromRing(takeover, at, stop, offset, take);
    if (copied.ok() && *copied == 0) copied = CopyFromCache(takeover, at, stop, offset, take);
    if (!copied.ok()) return copied.status();
    if (*copied == 0 && at > begin && stop - at <= std::min<uint64_t>(head_.size(), expert_bytes)) {
      take(head_.data(), offset, stop - at);
      *copied = stop - at;
    }
    if (*copied == 0) {
      HEADRACE_RETURN_IF_ERROR(others_.Copy(
          origin.file, origin.offset + offset, stop - at,
          [&](const uint8_t* data, uint64_t piece, uint64_t bytes) { take(data, offset + piece, bytes); }));
      *copied = stop - at;
    }
    at += *copied;
  }
  return {};
}

// For a wide batch the layer goes on as on the processor: what was not chosen is not read, free slots get what was
// chosen most.
Status Uploader::BeginExperts(Takeover& takeover) {
  ExpertUse& use = *takeover.experts;
  bool changed = false;
  HEADRACE_RETURN_IF_ERROR(pass_.BeginTurn(takeover, changed));
  if (use.way != ExpertUse::Way::kStreamed || !api_.no_choice_of_devices.empty()) {
    use.begun = true;
    return {};
  }
  ggml_tensor ids = *takeover.node->src[2];
  choice_.resize(api_.nbytes(&ids));
  api_.backend_synchronize(takeover.backend);
  api_.backend_tensor_get(&ids, choice_.data(), 0, choice_.size());
  ids.data = choice_.data();
  use.ids = &ids;
  const Status begun = pass_.BeginExperts(takeover);
  use.ids = nullptr;
  return begun;
}

// Bytes of one expert, all of them or none: 0 when it is not in memory in the file's layout, and is not to be read into
// it either.
Result<uint64_t> Uploader::CopyFromCache(Takeover& takeover, uint64_t begin, uint64_t end, uint64_t offset,
                                         const Take& take) {
  ExpertCache* const cache = experts_.cache();
  ExpertUse& use = *takeover.experts;
  if (cache == nullptr) return uint64_t{0};
  const uint64_t expert_bytes = takeover.weight->bytes() / use.experts;
  const std::array<uint32_t, 1> expert = {static_cast<uint32_t>(begin / expert_bytes)};
  const bool whole = end - begin == expert_bytes;
  ExpertCache::Pins pins;
  if (cache->Holds(use.layer, expert[0])) {
    pins = cache->PinHeld(use.layer, expert);
  } else if (use.way == ExpertUse::Way::kCached && whole && cache->slots(use.layer) > 0) {
    auto demanded = cache->Demand(use.layer, expert);
    if (!demanded.ok() && demanded.status().code() != Code::kOutOfBudget) return demanded.status();
    if (demanded.ok()) pins = std::move(*demanded);
  }
  if (pins.size() == 0 || pins.converted(0, takeover.slice)) return uint64_t{0};
  if (pins.data(0, takeover.slice) == nullptr) {
    const uint64_t start = Now();
    const std::array<size_t, 1> first = {0};
    const Status arrived = pins.WaitForAny(takeover.slice, first);
    pass_.account().times.wait_ns += Now() - start;
    HEADRACE_RETURN_IF_ERROR(arrived);
  } else {
    from_memory_ += end - begin;
  }
  if (whole && takeover.slice == 0) cache->Touch(use.layer, expert[0], 1);
  const uint8_t* const data = pins.data(0, takeover.slice) + begin % expert_bytes;
  TakeExpert(data, begin, end - begin, expert_bytes, offset, take,
             std::make_shared<ExpertCache::Pins>(std::move(pins)));
  return end - begin;
}

// As many bytes from `begin` on as one segment has; 0 when it is not, or not any more, to come.
Result<uint64_t> Uploader::CopyFromRing(Takeover& takeover, uint64_t begin, uint64_t end, uint64_t offset,
                                        const Take& take) {
  HEADRACE_RETURN_IF_ERROR(ReleaseBelow(takeover, begin));
  if (segment_ == takeover.segments.size()) return uint64_t{0};
  const SegmentRows& rows = takeover.segments[segment_];
  const uint64_t row_bytes = takeover.weight->cut.row_bytes, first = rows.first_row * row_bytes;
  if (begin < first) return uint64_t{0};
  const uint64_t bytes = std::min(end, first + rows.rows * row_bytes) - begin;
  const auto arrived = UseSegment(takeover, begin - first + bytes);
  if (!arrived.ok()) return arrived.status();
  TakeExpert(*arrived + (begin - first), begin, bytes, takeover.weight->bytes() / takeover.experts->experts, offset,
             take, use_);
  return bytes;
}

}  // namespace headrace
