// Memory that the reads of one drive go to. The kernel may keep a part of it for ever: that of a read which never ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/status.h"
#include "memory/region.h"

namespace headrace {

// One thread.
class DriveBuffer {
 public:
  // The caller has charged `bytes`, whole pages. Errors: Region's.
  static Result<DriveBuffer> Make(uint64_t bytes);

  // The lowest free place, whose memory was used a moment ago; null: there is none until another one is given back.
  std::byte* Take(uint32_t bytes);
  // The kernel writes there no more.
  void Give(const std::byte* place);

 private:
  Region memory_;
  std::map<uint64_t, uint64_t> used_;  // begin -> end
};

}  // namespace headrace
