#include "report/snapshot_file.h"

#include <unistd.h>

#include <utility>

#include "base/log.h"
#include "telemetry/snapshot_files.h"

namespace headrace::cli {

SnapshotFile::SnapshotFile() {
  auto created = CreateSnapshotFile();
  if (created.ok()) {
    path_ = std::move(*created);
  } else {
    LogWarning(created.status().message());
  }
}

SnapshotFile::~SnapshotFile() {
  if (path_.empty()) return;
  for (const std::string& path : SnapshotFilesOf(path_)) unlink(path.c_str());
}

std::optional<Statistics> SnapshotFile::Read() const {
  std::optional<Statistics> shown;
  if (path_.empty()) return shown;
  for (const std::string& path : SnapshotFilesOf(path_)) {
    const auto view = SnapshotView::Open(path);
    if (!view.ok()) continue;
    Statistics statistics = ReadStatistics(**view);
    if (!shown || statistics.streamed()) shown = std::move(statistics);
  }
  return shown;
}

}  // namespace headrace::cli
