// The statistics of this process, and the file in which `headrace top` finds them.
#pragma once

#include <atomic>
#include <string>

#include "telemetry/snapshot.h"

namespace headrace {

class PublishedSnapshot {
 public:
  // Into a file that somebody named, who takes it away again.
  Status MapFile(const std::string& path) { return writer_.MapFile(path); }
  // Into one of ours where `headrace top` looks, unless it has a file. When none can be had the statistics stay
  // private.
  void Publish();
  // Takes the file away if it is ours. At the end of the process.
  void Withdraw() noexcept;
  // In a forked child: the file is the parent's alone.
  void LeaveToParent();

  SnapshotWriter& writer() { return writer_; }
  const Snapshot& operator*() const { return *writer_; }

 private:
  SnapshotWriter writer_;
  std::atomic<bool> own_file_{false};
};

}  // namespace headrace
