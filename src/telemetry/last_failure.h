// What failed last in this process, for programs that ask the library.
#pragma once

#include <string>

namespace headrace {

// Thread-safe.
void SetLastFailure(const std::string& message);
// "" when nothing failed.
std::string LastFailure();

}  // namespace headrace
