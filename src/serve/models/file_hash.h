// What files hold, as one number.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace headrace::serve {

// Changes with every byte of them, and with their order. Errors: kIo, kNotFound.
Result<uint64_t> HashFiles(const std::vector<std::string>& paths, uint64_t seed);

}  // namespace headrace::serve
