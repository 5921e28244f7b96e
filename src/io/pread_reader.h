// The reference reader: a few threads that call pread.
#pragma once

#include <memory>

#include "io/reader.h"

namespace headrace {

// The threads block all signals, so that the host's handlers never run in them. Errors: kIo when no
// thread can be started.
Result<std::unique_ptr<Reader>> MakePreadReader(unsigned depth);

}  // namespace headrace
