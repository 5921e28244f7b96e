#include "io/mirrored_reader.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "io/drive_load.h"
#include "io/mirror_copy.h"
#include "io/slot_reader.h"

namespace headrace {
namespace {

constexpr unsigned kOriginal = 0;  // a source: 0, or 1 + the index of a copy

struct Drive {
  dev_t device = 0;
  DriveLoad load;
  bool said = false;  // that it fails
  DriveFigures* figures = nullptr;
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

class MirroredReader final : public SlotReader {
 public:
  MirroredReader(std::unique_ptr<Reader> base, DriveTable& figures)
      : SlotReader(base->depth()), base_(std::move(base)), figures_(figures), open_parts_(depth()), statuses_(depth()) {
    reading_.resize(depth());
    for (unsigned i = depth(); i > 0; --i) free_.push_back(i - 1);
  }

  std::string_view name() const override { return base_->name(); }
  uint64_t retries() const override { return SlotReader::retries() + base_->retries(); }
  unsigned drives() const override {
    const uint64_t now = Now();
    const auto live = std::count_if(drives_.begin(), drives_.end(), [&](const Drive& d) { return !d.load.Rests(now); });
    return std::max(1u, static_cast<unsigned>(live));
  }

 private:
  void Start(std::span<const unsigned> slots) override;
  void Reap(bool block) override;

  void Split(unsigned slot);
  void BeginWaiting();
  void Begin(Part part, uint64_t now);
  unsigned Choose(const Part& part, uint64_t now);
  void Take(const ReadResult& result);
  void Retry(Part part, Status failure, bool first, const char* meaning);
  void FinishPart(Part& part, Status status);

  const SourceFile& Original(const Part& part) { return *slot(part.slot).request().file; }
  const SourceFile& FileOf(const SourceFile& original, unsigned source) {
    return source == kOriginal ? original : original.copies()[source - 1]->file();
  }
  Drive& DriveOf(const SourceFile& file);

  const std::unique_ptr<Reader> base_;
  DriveTable& figures_;
  std::deque<Drive> drives_;
  std::deque<Part> waiting_;          // for room in the base reader
  std::vector<Part> reading_;         // by the tag that the base reader gets
  std::vector<unsigned> free_;        // tags
  std::vector<unsigned> open_parts_;  // of each slot
  std::vector<Status> statuses_;      // of each slot
  std::vector<ReadResult> results_;
};

Drive& MirroredReader::DriveOf(const SourceFile& file) {
  const dev_t device = file.identity().device;
  for (Drive& drive : drives_) {
    if (drive.device == device) return drive;
  }
  Drive& drive = drives_.emplace_back();
  drive.device = device;
  for (DriveFigures& figures : figures_) {
    if (figures.device != 0 && figures.device != device) continue;
    drive.figures = &figures;
    figures.device = device;
    break;
  }
  return drive;
}

void MirroredReader::Start(std::span<const unsigned> slots) {
  for (const unsigned index : slots) Split(index);
  BeginWaiting();
}

void MirroredReader::Split(unsigned index) {
  const ReadRequest& request = slot(index).request();
  const uint64_t end = std::min(request.offset + request.length, AlignUp(request.file->size(), kReadAlignment));
  statuses_[index] = {};
  open_parts_[index] = 0;
  for (uint64_t at = request.offset; at < end;) {
    uint64_t stop = end;
    for (const auto& copy : request.file->copies()) stop = std::min(stop, copy->stripes().RunEnd(at));
    Part& part = waiting_.emplace_back();
    part.slot = index;
    part.offset = at;
    part.length = static_cast<uint32_t>(stop - at);
    part.destination = static_cast<std::byte*>(request.destination) + (at - request.offset);
    ++open_parts_[index];
    at = stop;
  }
}

void MirroredReader::BeginWaiting() {
  const uint64_t now = Now();
  while (!waiting_.empty() && !free_.empty()) {
    Part part = std::move(waiting_.front());
    waiting_.pop_front();
    Begin(std::move(part), now);
  }
}

// Of the sources that hold the part and were not tried: the one that will have read it first. Drives that rest are
// asked last.
unsigned MirroredReader::Choose(const Part& part, uint64_t now) {
  const SourceFile& original = Original(part);
  double known = 1;
  for (const Drive& drive : drives_) {
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
    const Drive& drive = DriveOf(FileOf(original, source));
    double expected = drive.load.WantsTrial(now) ? 0 : drive.load.ExpectedNs(part.length, now, known);
    if (drive.load.Rests(now)) expected += drive.load.gone() ? 2e18 : 1e18;
    if (least >= 0 && expected >= least) continue;
    least = expected;
    best = source;
  }
  return best;
}

void MirroredReader::Begin(Part part, uint64_t now) {
  const SourceFile& original = Original(part);
  part.source = Choose(part, now);
  part.tried |= uint64_t{1} << part.source;
  part.begun_ns = now;
  const SourceFile& file = FileOf(original, part.source);
  ReadRequest request;
  request.file = &file;
  request.offset = part.source == kOriginal ? part.offset : original.copies()[part.source - 1]->Position(part.offset);
  request.length = part.length;
  request.destination = part.destination;
  request.tag = free_.back();
  free_.pop_back();
  DriveOf(file).load.Begin(part.length, now);
  reading_[request.tag] = std::move(part);
  base_->Submit({&request, 1});
}

void MirroredReader::Reap(bool block) {
  const size_t before = finished();
  do {
    results_.clear();
    base_->Collect(block && finished() == before, results_);
    for (const ReadResult& result : results_) Take(result);
    BeginWaiting();
  } while (block && finished() == before && base_->in_flight() > 0);
}

void MirroredReader::Take(const ReadResult& result) {
  const auto tag = static_cast<unsigned>(result.tag);
  Part part = std::move(reading_[tag]);
  free_.push_back(tag);
  const SourceFile& file = FileOf(Original(part), part.source);
  Drive& drive = DriveOf(file);
  const uint64_t now = Now();
  // A copy that was written to is no drive that fails, also when its read met a new end.
  const Status changed = part.source == kOriginal ? Status() : file.CheckUnchanged();
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

void MirroredReader::Retry(Part part, Status failure, bool first, const char* meaning) {
  const SourceFile& original = Original(part);
  bool other = (part.tried & 1) == 0;
  for (unsigned source = 1; source <= original.copies().size(); ++source) {
    const MirrorCopy& copy = *original.copies()[source - 1];
    other = other || ((part.tried >> source & 1) == 0 && !copy.retired() && copy.stripes().Holds(part.offset));
  }
  // The original's error is what a user without copies would see.
  if (part.failure.ok() || part.source == kOriginal) part.failure = failure;
  if (!other) {
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

std::unique_ptr<Reader> MakeMirroredReader(std::unique_ptr<Reader> base, DriveTable& figures) {
  return std::make_unique<MirroredReader>(std::move(base), figures);
}

}  // namespace headrace
