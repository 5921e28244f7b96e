// How model files are read, as the configuration says.
#pragma once

#include <memory>

#include "base/config.h"
#include "io/reader.h"

namespace headrace {

// With the faults that a test asked for. Errors: the reader's; kInvalidArgument for faults that are not understood.
Result<std::unique_ptr<Reader>> OpenConfiguredReader(const Config& config, unsigned depth);

}  // namespace headrace
