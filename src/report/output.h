// Standard output, which carries results: an answer, a plan, JSON.
#pragma once

#include <string_view>

namespace headrace::cli {

// Writes at once. False when it could not, now or before: no more is written then. Not thread-safe.
bool WriteOutput(std::string_view text);

// The exit status of a command that would end with `status`: never kExitOk where a part of its result could not be
// written, that of SIGPIPE where its reader went away.
int OutputStatus(int status);

// The same, and says what could not be written; of a reader that went away, which has what it wanted, nothing.
int FinishOutput(int status);

}  // namespace headrace::cli
