#include "report/output.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fmt/format.h>

#include "base/standard_streams.h"
#include "report/exit_status.h"

namespace headrace::cli {
namespace {

int g_failure = 0;  // errno of the first write that failed

}  // namespace

bool WriteOutput(std::string_view text) {
  if (g_failure == 0) g_failure = WriteAll(STDOUT_FILENO, text);
  return g_failure == 0;
}

int OutputStatus(int status) {
  if (g_failure == 0 || status != kExitOk) return status;
  return g_failure == EPIPE ? kExitSignal + SIGPIPE : kExitFailure;
}

int FinishOutput(int status) {
  if (g_failure != 0 && g_failure != EPIPE)
    Fail(fmt::format("cannot write the result to standard output: {}", std::strerror(g_failure)), kExitFailure);
  return OutputStatus(status);
}

}  // namespace headrace::cli
