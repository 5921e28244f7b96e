// Threads of headrace's own that wait for the disk.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "base/status.h"

namespace headrace {

// Runs `body` on a new thread, named `name` (at most 15 bytes), that gets a processor quickly when a read ends
// (io/time_slice.h) and takes none of the host's signals. Errors: kIo.
Result<std::thread> StartReadThread(const std::string& name, std::function<void()> body);

}  // namespace headrace
