// What this process's signals were when it was started: nohup, a script's background job and other programs start it
// with some of them ignored or blocked. Who it starts gets them as it did itself.
#pragma once

#include <vector>

namespace headrace::cli {

// Once, before anything is started: a write that nobody reads or that a limit stops is an error and no end, and the end
// of a child is always seen.
void TakeSignals();

// In a child, before its program runs: undoes TakeSignals. Async-signal-safe.
void RestoreSignals();

// Those of SIGINT, SIGTERM, SIGHUP and SIGQUIT that end this process; the others were ignored when it was started, and
// stay so.
std::vector<int> EndingSignals();

}  // namespace headrace::cli
