// The fast reader: io_uring, without threads of its own.
#pragma once

#include <memory>

#include "io/reader.h"

namespace headrace {

// Errors: kUnsupported, with the reason, where the kernel is too old or it, a container or the limit on
// locked memory refuses io_uring.
Result<std::unique_ptr<Reader>> MakeUringReader(unsigned depth);

}  // namespace headrace
