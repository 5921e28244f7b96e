// Lines that somebody types at a terminal, with editing and a history (libedit).
#pragma once

#include <optional>
#include <string>

namespace headrace::client {

// The next message: a line, or several that end in a backslash but for the last. None at the end of the input, and
// after a signal.
std::optional<std::string> ReadMessage();

}  // namespace headrace::client
