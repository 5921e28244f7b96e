#include "io/mirrored_reader.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "io/drive_buffer.h"
#include "io/drive_load.h"
#include "io/mirror_copy.h"
#include "io/slot_reader.h"

namespace headrace {
namespace {

constexpr unsigned kOriginal = 0;                                    // a source: 0, or 1 + the index of a copy
constexpr std::chrono::nanoseconds kLook = std::chrono::seconds(1);  // how often drives are looked after at least
constexpr uint64_t kMostOfBuffer = 4;                                // of these parts of a buffer a read has one

struct Drive {
  dev_t device = 0;
  DriveLoad load;
  DriveBuffer buffer;
  unsigned reads = 0;        // that the base reader has
  unsigned left = 0;         // of these, those that are not waited for any more
  bool said = false;         // that it fails
  bool said_silent = false;  // that it is silent
  DriveFigures* figures = nullptr;

  // Asked last.
  bool Rests(uint64_t now) const { return left > 0 || load.Rests(now); }
};

// Of a request: as much as lies in one run of stripes in all copies.
struct Part {
  unsigned slot = 0;
  uint64_t offset = 0;
  uint32_t length = 0;
  std::byte* destination = nullptr;
  uint64_t tried = 0;  // a bit for each source
  unsigned source = kOriginal;
  uint64_t begun_ns = 0;
  Status failure;  // the first one
};

// What the base reader has.
struct Flight {
  Part part;
  Drive* drive = nullptr;            // null: there is none
  std::byte* buffer = nullptr;       // null: it goes to the destination
  std::shared_ptr<const void> file;  // that is read, if it is shared
  bool left = false;                 // nobody waits for it any more; of `part` only the length is used
};

// All that a read may use while it hangs.
struct Reading {
  explicit Reading(std::unique_ptr<Reader> reader) : base(std::move(reader)), flights(base->depth()) {}
  std::unique_ptr<Reader> base;
  std::deque<Drive> drives;
  std::vector<Flight> flights;  // by the tag that the base reader gets
};

// Of readers that went while reads of them hung: the kernel would write into what is freed, and nothing tells when it
// has ended but the reader. Reached from here so that it is no leak.
void KeepForEver(std::unique_ptr<Reading> reading) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::unique_ptr<Reading>>;
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(reading));
}

class MirroredReader final : public SlotReader {
 public:
  MirroredReader(std::unique_ptr<Reader> base, DriveTable& figures, const MirroredReading& how)
      : SlotReader(base->depth()),
        reading_(std::make_unique<Reading>(std::move(base))),
        figures_(figures),
        how_(how),
        open_parts_(depth()),
        statuses_(depth()) {
    for (unsigned i = depth(); i > 0; --i) free_.push_back(i - 1);
  }
  ~MirroredReader() override {
    if (InForkedChild()) return;
    stopping_ = true;
    const auto left = [this] {
      unsigned count = 0;
      for (const Drive& drive : reading_->drives) count += drive.left;
      return count;
    };
    while (reading_->base->in_flight() > left()) Reap(kLook);
    if (left() > 0) KeepForEver(std::move(reading_));
  }

  std::string_view name() const override { return reading_->base->name(); }
  unsigned at_once() const override { return reading_->base->at_once(); }
  uint64_t retries() const override { return SlotReader::retries() + reading_->base->retries(); }
  unsigned drives() const override {
    const uint64_t now = Now();
    const auto live = std::count_if(reading_->drives.begin(), reading_->drives.end(),
                                    [&](const Drive& drive) { return !drive.Rests(now); });
    return std::max(1u, static_cast<unsigned>(live));
  }

 private:
  void Start(std::span<const unsigned> slots) override;
  void Reap(Patience patience) override;

  void Split(unsigned slot);
  void BeginWaiting();
  bool Begin(Part& part, uint64_t now);
  unsigned Choose(const Part& part, uint64_t now);
  bool HasOther(const Part& part);
  void Take(const ReadResult& result);
  void LeaveSilentDrives();
  void Retry(Part part, Status failure, bool first, const char* meaning);
  void FinishPart(Part& part, Status status);

  const SourceFile& Original(const Part& part) { return *slot(part.slot).request().file; }
  const SourceFile& FileOf(const SourceFile& original, unsigned source) {
    return source == kOriginal ? original : original.copies()[source - 1]->file();
  }
  Drive* DriveOf(const SourceFile& file);

  std::unique_ptr<Reading> reading_;
  DriveTable& figures_;
  const MirroredReading how_;
  std::deque<Part> waiting_;          // for room in the base reader, or in a buffer
  std::vector<unsigned> free_;        // tags
  std::vector<unsigned> open_parts_;  // of each slot
  std::vector<Status> statuses_;      // of each slot
  std::vector<ReadResult> results_;
  uint64_t looked_ns_ = 0, awake_since_ns_ = 0;
  bool stopping_ = false;  // nothing is begun any more
};

// Null: there is no memory for its reads.
Drive* MirroredReader::DriveOf(const SourceFile& file) {
  const dev_t device = file.identity().device;
  for (Drive& drive : reading_->drives) {
    if (drive.device == device) return &drive;
  }
  auto buffer = DriveBuffer::Make(how_.buffer_bytes);
  if (!buffer.ok()) return nullptr;
  Drive& drive = reading_->drives.emplace_back();
  drive.device = device;
  drive.buffer = std::move(*buffer);
  for (DriveFigures& figures : figures_) {
    if (figures.device != 0 && figures.device != device) continue;
    drive.figures = &figures;
    figures.device = device;
    break;
  }
  return &drive;
}

void MirroredReader::Start(std::span<const unsigned> slots) {
  for (const unsigned index : slots) Split(index);
  BeginWaiting();
}

void MirroredReader::Split(unsigned index) {
  const ReadRequest& request = slot(index).request();
  const auto& copies = request.file->copies();
  bool memory = DriveOf(*request.file) != nullptr;
  for (const auto& copy : copies) memory = memory && DriveOf(copy->file()) != nullptr;
  if (!memory) {
    return Finish(index, Status(Code::kOutOfBudget, request.file->path() + ": no memory for reads of several drives"));
  }
  const uint64_t end = std::min(request.offset + request.length, AlignUp(request.file->size(), kReadAlignment));
  const uint64_t most = copies.empty() ? request.length : AlignDown(how_.buffer_bytes / kMostOfBuffer, kReadAlignment);
  statuses_[index] = {};
  open_parts_[index] = 0;
  for (uint64_t at = request.offset; at < end;) {
    uint64_t stop = std::min(end, at + most);
    for (const auto& copy : copies) stop = std::min(stop, copy->stripes().RunEnd(at));
    Part& part = waiting_.emplace_back();
    part.slot = index;
    part.offset = at;
    part.length = static_cast<uint32_t>(stop - at);
    part.destination = static_cast<std::byte*>(request.destination) + (at - request.offset);
    ++open_parts_[index];
    at = stop;
  }
}

// What finds no room on its drive waits, and those behind it go on.
void MirroredReader::BeginWaiting() {
  if (stopping_) waiting_.clear();
  const uint64_t now = Now();
  std::erase_if(waiting_, [&](Part& part) { return !free_.empty() && Begin(part, now); });
}

// Of the sources that hold the part and were not tried: the one that will have read it first. Drives that rest are
// asked last.
unsigned MirroredReader::Choose(const Part& part, uint64_t now) {
  const SourceFile& original = Original(part);
  double known = 1;
  for (const Drive& drive : reading_->drives) {
    if (drive.load.cost() > 0) known = known == 1 ? drive.load.cost() : std::min(known, drive.load.cost());
  }
  unsigned best = kOriginal;
  double least = -1;
  for (unsigned source = 0; source <= original.copies().size(); ++source) {
    if ((part.tried >> source & 1) != 0) continue;
    if (source != kOriginal) {
      const MirrorCopy& copy = *original.copies()[source - 1];
      if (copy.retired() || !copy.stripes().Holds(part.offset)) continue;
    }
    const Drive& drive = *DriveOf(FileOf(original, source));
    double expected = drive.load.WantsTrial(now) ? 0 : drive.load.ExpectedNs(part.length, now, known);
    if (drive.Rests(now)) expected += drive.left > 0 || drive.load.gone() ? 2e18 : 1e18;
    if (least >= 0 && expected >= least) continue;
    least = expected;
    best = source;
  }
  return best;
}

// False: there is no room for it now.
bool MirroredReader::Begin(Part& part, uint64_t now) {
  const SourceFile& original = Original(part);
  const unsigned source = Choose(part, now);
  const SourceFile& file = FileOf(original, source);
  Drive& drive = *DriveOf(file);
  // A drive that hangs must leave the base reader to the others: its slots, and its threads.
  const auto drives = static_cast<unsigned>(reading_->drives.size());
  if (drives > 1 && drive.reads >= std::max(1u, reading_->base->at_once() / drives)) return false;
  std::byte* buffer = nullptr;
  if (!original.copies().empty() && (buffer = drive.buffer.Take(part.length)) == nullptr) return false;
  part.source = source;
  part.tried |= uint64_t{1} << source;
  part.begun_ns = now;
  ReadRequest request;
  request.file = &file;
  request.offset = source == kOriginal ? part.offset : original.copies()[source - 1]->Position(part.offset);
  request.length = part.length;
  request.destination = buffer != nullptr ? buffer : part.destination;
  request.tag = free_.back();
  free_.pop_back();
  drive.load.Begin(part.length, now);
  ++drive.reads;
  Flight& flight = reading_->flights[request.tag];
  flight.drive = &drive;
  flight.buffer = buffer;
  flight.left = false;
  if (source == kOriginal) {
    flight.file = original.weak_from_this().lock();
  } else {
    flight.file = original.copies()[source - 1];
  }
  flight.part = std::move(part);
  reading_->base->Submit({&request, 1});
  return true;
}

void MirroredReader::Reap(Patience patience) {
  const size_t before = finished();
  const uint64_t begun = Now();
  Reader& base = *reading_->base;
  for (;;) {
    const Patience left = patience == kForEver ? patience : patience - Patience(Now() - begun);
    results_.clear();
    base.CollectFor(finished() == before ? std::clamp(left, kNoWait, std::min(kLook, how_.silence)) : kNoWait,
                    results_);
    for (const ReadResult& result : results_) Take(result);
    LeaveSilentDrives();
    BeginWaiting();
    if (left <= kNoWait || finished() > before || (base.in_flight() == 0 && waiting_.empty())) return;
  }
}

void MirroredReader::Take(const ReadResult& result) {
  const auto tag = static_cast<unsigned>(result.tag);
  Flight flight = std::exchange(reading_->flights[tag], {});
  free_.push_back(tag);
  Drive& drive = *flight.drive;
  Part& part = flight.part;
  --drive.reads;
  const uint64_t now = Now();
  if (flight.left) {
    drive.buffer.Give(flight.buffer);
    --drive.left;
    return drive.load.Fail(part.length, now);
  }
  // A copy that was written to is no drive that fails, also when its read met a new end.
  const SourceFile& file = FileOf(Original(part), part.source);
  const Status changed = part.source == kOriginal ? Status() : file.CheckUnchanged();
  if (flight.buffer != nullptr) {
    if (result.status.ok() && changed.ok()) std::memcpy(part.destination, flight.buffer, part.length);
    drive.buffer.Give(flight.buffer);
  }
  if (!result.status.ok() && changed.ok()) {
    drive.load.Fail(part.length, now);
    if (drive.figures != nullptr) ++drive.figures->reads_failed;
    return Retry(std::move(part), result.status, !std::exchange(drive.said, true), "this drive fails");
  }
  drive.load.End(part.length, part.begun_ns, now);
  if (drive.figures != nullptr) {
    drive.figures->bytes_read += part.length;
    drive.figures->bytes_per_s = static_cast<uint64_t>(1e9 / std::max(drive.load.cost(), 1e-3));
  }
  if (!changed.ok()) {
    const bool first = Original(part).copies()[part.source - 1]->Retire();
    return Retry(std::move(part), changed, first, "this copy is not used any more");
  }
  FinishPart(part, {});
}

// What they were asked for is read from others, as far as these have it.
void MirroredReader::LeaveSilentDrives() {
  const uint64_t now = Now();
  // A process that was stopped has not looked.
  if (now - std::exchange(looked_ns_, now) > 2 * static_cast<uint64_t>(kLook.count())) awake_since_ns_ = now;
  for (Flight& flight : reading_->flights) {
    if (flight.drive == nullptr || flight.buffer == nullptr || flight.left) continue;
    Drive& drive = *flight.drive;
    const uint64_t silent = std::min(drive.load.SilentNs(now), now - awake_since_ns_);
    if (silent < static_cast<uint64_t>(how_.silence.count()) || !HasOther(flight.part)) continue;
    flight.left = true;
    ++drive.left;
    if (drive.figures != nullptr) ++drive.figures->reads_failed;
    const SourceFile& file = FileOf(Original(flight.part), flight.part.source);
    Retry(flight.part,
          Status(Code::kIo, fmt::format("{}: cannot read {} bytes at {}: no answer for {} s", file.path(),
                                        flight.part.length, flight.part.offset, silent / 1'000'000'000)),
          !std::exchange(drive.said_silent, true), "this drive is silent");
  }
}

bool MirroredReader::HasOther(const Part& part) {
  const SourceFile& original = Original(part);
  bool other = (part.tried & 1) == 0;
  for (unsigned source = 1; source <= original.copies().size(); ++source) {
    const MirrorCopy& copy = *original.copies()[source - 1];
    other = other || ((part.tried >> source & 1) == 0 && !copy.retired() && copy.stripes().Holds(part.offset));
  }
  return other;
}

void MirroredReader::Retry(Part part, Status failure, bool first, const char* meaning) {
  // The original's error is what a user without copies would see.
  if (part.failure.ok() || part.source == kOriginal) part.failure = failure;
  if (!HasOther(part)) {
    Status last = part.failure;
    return FinishPart(part, std::move(last));
  }
  if (first) LogWarning(fmt::format("{}; {}, its reads go to another one", failure.message(), meaning));
  waiting_.push_front(std::move(part));
}

void MirroredReader::FinishPart(Part& part, Status status) {
  if (statuses_[part.slot].ok()) statuses_[part.slot] = std::move(status);
  if (--open_parts_[part.slot] == 0) Finish(part.slot, statuses_[part.slot]);
}

}  // namespace

std::unique_ptr<Reader> MakeMirroredReader(std::unique_ptr<Reader> base, DriveTable& figures,
                                           const MirroredReading& how) {
  return std::make_unique<MirroredReader>(std::move(base), figures, how);
}

}  // namespace headrace
