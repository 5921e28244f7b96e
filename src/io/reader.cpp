#include "io/reader.h"

#include <fmt/format.h>

#include "io/pread_reader.h"
#include "io/uring_reader.h"

namespace headrace {

Result<std::unique_ptr<Reader>> MakeReader(ReaderKind kind, unsigned depth) {
  if (depth == 0 || depth > kMaxReaderDepth) {
    return Status(Code::kInvalidArgument,
                  fmt::format("a reader takes 1 to {} reads at once, not {}", kMaxReaderDepth, depth));
  }
  if (kind != ReaderKind::kPread) {
    auto reader = MakeUringReader(depth);
    if (reader.ok() || kind == ReaderKind::kUring || reader.status().code() != Code::kUnsupported) return reader;
  }
  return MakePreadReader(depth);
}

}  // namespace headrace
