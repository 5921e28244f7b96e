// What the readers share: the table of requests in flight, and the parts of the contract that do not
// depend on how bytes are read.
#pragma once

#include <sys/types.h>

#include <span>
#include <vector>

#include "io/read_progress.h"
#include "io/reader.h"

namespace headrace {

// An implementation reads slots: Start begins to, Reap calls Finish for those that are through.
class SlotReader : public Reader {
 public:
  unsigned depth() const final { return static_cast<unsigned>(slots_.size()); }
  unsigned in_flight() const final { return in_flight_; }
  uint64_t retries() const override { return retries_; }
  void Submit(std::span<const ReadRequest> requests) final;
  void CollectFor(Patience patience, std::vector<ReadResult>& results) final;

 protected:
  explicit SlotReader(unsigned depth);

  // Begins to read what these slots say. May call Finish.
  virtual void Start(std::span<const unsigned> slots) = 0;
  // Calls Finish for slots that are through; waits for one, at most so long.
  virtual void Reap(Patience patience) = 0;

  // A slot that was started stays at its address and belongs to the implementation until Finish.
  ReadProgress& slot(unsigned index) { return slots_[index]; }
  void Finish(unsigned index, Status status);
  // Results that Collect will return.
  size_t finished() const { return finished_.size(); }
  // True in a child of the process that made the reader: it has neither its threads nor its requests.
  bool InForkedChild() const;

 private:
  void Reject(const ReadRequest& request, Status status);

  std::vector<ReadProgress> slots_;
  std::vector<bool> busy_;
  std::vector<unsigned> free_;
  std::vector<unsigned> starting_;
  std::vector<ReadResult> finished_;
  unsigned in_flight_ = 0;  // submitted, and not yet returned by Collect
  uint64_t retries_ = 0;
  const pid_t owner_;
};

}  // namespace headrace
