#include "hook/published_snapshot.h"

#include <unistd.h>

#include "base/log.h"
#include "telemetry/snapshot_files.h"

namespace headrace {

void PublishedSnapshot::Publish() {
  if (writer_.mapped()) return;
  const auto path = CreateSnapshotFile();
  const Status mapped = path.ok() ? writer_.MapFile(*path) : path.status();
  own_file_ = mapped.ok();
  if (mapped.ok()) return;
  if (path.ok()) ::unlink(path->c_str());
  LogDebug(mapped.message());
}

void PublishedSnapshot::Withdraw() noexcept {
  if (own_file_) ::unlink(writer_.path().c_str());
}

void PublishedSnapshot::LeaveToParent() {
  own_file_ = false;
  writer_.LeaveToParent();
}

}  // namespace headrace
