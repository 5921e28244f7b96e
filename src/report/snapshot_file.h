// The file through which the library in another process reports to this one.
#pragma once

#include <optional>
#include <string>

#include "report/statistics.h"

namespace headrace::cli {

// Where `headrace top` finds it, empty until the library maps it, gone with this object.
class SnapshotFile {
 public:
  SnapshotFile();
  ~SnapshotFile();
  SnapshotFile(const SnapshotFile&) = delete;
  SnapshotFile& operator=(const SnapshotFile&) = delete;

  // "" when none could be created, which a line said: the run then goes without statistics.
  const std::string& path() const { return path_; }

  // None while the library has not reported. Opened anew each time: of several programs under one session the last to
  // stream is shown.
  std::optional<Statistics> Read() const;

 private:
  std::string path_;
};

}  // namespace headrace::cli
