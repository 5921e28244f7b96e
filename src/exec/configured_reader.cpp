#include "exec/configured_reader.h"

#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "io/faulty_reader.h"
#include "io/mirrored_reader.h"

namespace headrace {

Result<std::unique_ptr<Reader>> OpenConfiguredReader(const Config& config, unsigned depth, DriveTable& drives,
                                                     uint64_t drive_buffer_bytes) {
  const ReaderKind kind = config.reader == "uring"  ? ReaderKind::kUring
                          : config.reader == "auto" ? ReaderKind::kAuto
                                                    : ReaderKind::kPread;
  auto reader = MakeReader(kind, depth);
  if (!reader.ok()) return reader;
  LogDebug(fmt::format("reading with {}", (*reader)->name()));
  if (!config.faults.empty()) {
    const auto faults = ParseFaultSpec(config.faults);
    if (!faults.ok()) return Status(faults.status().code(), "HEADRACE_FAULT: " + faults.status().message());
    reader = MakeFaultyReader(std::move(*reader), *faults);
  }
  if (config.mirrors.empty()) return reader;
  MirroredReading how;
  how.buffer_bytes = drive_buffer_bytes;
  return MakeMirroredReader(std::move(*reader), drives, how);
}

}  // namespace headrace
