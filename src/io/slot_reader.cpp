#include "io/slot_reader.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iterator>
#include <utility>

namespace headrace {
namespace {

Status Forked() {
  return Status(Code::kUnsupported, "this process was forked from the one that opened the model, and cannot stream it");
}

}  // namespace

SlotReader::SlotReader(unsigned depth) : slots_(depth), busy_(depth), owner_(::getpid()) {
  for (unsigned i = depth; i > 0; --i) free_.push_back(i - 1);
  starting_.reserve(depth);
  finished_.reserve(depth);
}

bool SlotReader::InForkedChild() const { return ::getpid() != owner_; }

void SlotReader::Reject(const ReadRequest& request, Status status) {
  ++in_flight_;
  finished_.push_back({request.tag, std::move(status)});
}

void SlotReader::Submit(std::span<const ReadRequest> requests) {
  const bool forked = InForkedChild();
  starting_.clear();
  for (const ReadRequest& request : requests) {
    if (Status status = forked ? Forked() : CheckRequest(request); !status.ok()) {
      Reject(request, std::move(status));
      continue;
    }
    if (in_flight_ >= depth()) {
      Reject(request, Status(Code::kInvalidArgument,
                             fmt::format("{}: more than {} reads at once", request.file->path(), depth())));
      continue;
    }
    const unsigned index = free_.back();
    free_.pop_back();
    slots_[index] = ReadProgress(request);
    busy_[index] = true;
    ++in_flight_;
    starting_.push_back(index);
  }
  if (!starting_.empty()) Start(starting_);
}

void SlotReader::CollectFor(Patience patience, std::vector<ReadResult>& results) {
  if (InForkedChild()) {
    for (unsigned i = 0; i < depth(); ++i) {
      if (busy_[i]) Finish(i, Forked());
    }
  } else if (in_flight_ > finished_.size()) {
    Reap(finished_.empty() ? patience : kNoWait);
  }
  in_flight_ -= static_cast<unsigned>(finished_.size());
  results.insert(results.end(), std::make_move_iterator(finished_.begin()), std::make_move_iterator(finished_.end()));
  finished_.clear();
}

void SlotReader::Finish(unsigned index, Status status) {
  retries_ += slots_[index].retries();
  finished_.push_back({slots_[index].request().tag, std::move(status)});
  busy_[index] = false;
  free_.push_back(index);
}

}  // namespace headrace
