// How model files are read, as the configuration says.
#pragma once

#include <memory>

#include "base/config.h"
#include "io/drive_figures.h"
#include "io/reader.h"

namespace headrace {

// With the faults that a test asked for; shared among the drives of mirrors, with the figures of each, and
// with a buffer of so many bytes for each, which the caller has charged. Errors: the
// reader's; kInvalidArgument for faults that are not understood.
Result<std::unique_ptr<Reader>> OpenConfiguredReader(const Config& config, unsigned depth, DriveTable& drives,
                                                     uint64_t drive_buffer_bytes);

}  // namespace headrace
