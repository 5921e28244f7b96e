// Text on standard output, at once.
#pragma once

#include <string_view>

namespace headrace::run {

// False when nobody takes it any more.
bool WriteOutput(std::string_view text);

}  // namespace headrace::run
