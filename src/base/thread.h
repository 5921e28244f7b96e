// Threads in somebody else's process.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "base/status.h"

namespace headrace {

// Runs `body` on a new thread, named `name` (at most 15 bytes), that takes none of the host's signals. Errors: kIo.
Result<std::thread> StartThread(const std::string& name, std::function<void()> body);

}  // namespace headrace
