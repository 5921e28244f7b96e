#include "report/exit_status.h"

#include "base/say.h"

namespace headrace::cli {

int ExitStatusOf(const Status& status) {
  switch (status.code()) {
    case Code::kOk:
      return kExitOk;
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kPermission:
    case Code::kCorrupt:
    case Code::kOutOfBudget:
    case Code::kUnsupported:
      return kExitUsage;
    case Code::kIo:
    case Code::kChanged:
    case Code::kCancelled:
    case Code::kInternal:
      break;
  }
  return kExitFailure;
}

std::string OneLine(std::string_view text) {
  std::string line;
  bool gap = false;
  for (const char c : text) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (control || (gap && c == ' ')) {
      gap = true;
      continue;
    }
    if (gap && !line.empty() && line.back() != ' ') line += ' ';
    gap = false;
    line += c;
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

int Fail(std::string_view message, int exit_status) {
  SayError(OneLine(message));
  return exit_status;
}

int Fail(const Status& status) { return Fail(status.message(), ExitStatusOf(status)); }

}  // namespace headrace::cli
