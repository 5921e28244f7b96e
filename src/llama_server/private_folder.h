// A folder that only this user may enter, gone with this object: where children listen.
#pragma once

#include <string>

#include "base/status.h"

namespace headrace::serve {

class PrivateFolder {
 public:
  // In $XDG_RUNTIME_DIR, $TMPDIR or /tmp, with a path that is short enough for sockets.
  PrivateFolder();
  ~PrivateFolder();
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  // kIo when none could be made.
  Status status() const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace headrace::serve
