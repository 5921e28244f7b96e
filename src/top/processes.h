// The processes of this machine that use the library, as their snapshots show them.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "report/statistics.h"

namespace headrace::top {

struct Process {
  pid_t pid = 0;
  std::string program;  // file name of what runs
  cli::Statistics statistics;
};

struct Processes {
  std::vector<Process> list;       // by pid
  std::vector<std::string> notes;  // files that were left out, and why: one line each
};

// Reads all snapshots that can be found, and those in `more_files`. Those of processes that ended are left out, and
// removed when nobody can need them. Text is made safe to print.
Processes ReadProcesses(const std::vector<std::string>& more_files);

// Text from another process for a terminal: control characters as "?".
std::string Printable(std::string text);

}  // namespace headrace::top
