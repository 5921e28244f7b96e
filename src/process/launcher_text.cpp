// The part of launcher.h that is text.
#include <csignal>
#include <cstring>

#include <fmt/format.h>

#include "process/launcher.h"

namespace headrace::cli {

std::string DescribeSignal(int signal, bool streams) {
  switch (signal) {
    case SIGKILL:
      return "was killed (SIGKILL), most likely because memory ran out, or a cgroup's limit was reached; "
             "try a smaller --ram or a shorter context (-c), and see `headrace doctor` for the limits";
    case SIGINT:
      return "was interrupted";
    case SIGTERM:
      return "was asked to end (SIGTERM)";
    case SIGSEGV:
    case SIGBUS:
    case SIGABRT:
    case SIGILL:
      return fmt::format("crashed ({}){}", strsignal(signal),
                         streams ? "; try --flash-mode off, and report it if that helps" : "");
    default:
      return fmt::format("was ended by signal {} ({})", signal, strsignal(signal));
  }
}

}  // namespace headrace::cli
