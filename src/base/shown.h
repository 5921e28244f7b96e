// Text that somebody else wrote, for a message of one line.
#pragma once

#include <string>
#include <string_view>

namespace headrace {

// At most 40 bytes and "...", without blanks around it; a control character becomes a blank, what is not ASCII "?".
// Thread-safe.
std::string Shown(std::string_view text);

}  // namespace headrace
