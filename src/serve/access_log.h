// A line for each request, to a file or standard output.
#pragma once

#include <string>

#include "base/descriptor.h"
#include "base/status.h"
#include "http/request_record.h"

namespace headrace::serve {

enum class LogFormat { kText, kJson };

// The target with the values of parameters that may be secrets left out ("?api_key=***"), and nothing but printable
// ASCII. Pure.
std::string ShownTarget(const std::string& target);
// With its line break. Pure but for the clock, which the duration ends with.
std::string AccessLine(const RequestRecord& record, LogFormat format, Clock::time_point end);

// A disk that is full and a reader that is gone or slow cost lines, which are counted, and never hold the server up.
class AccessLog {
 public:
  // `path`: "-" for standard output, "" for no log. Errors: those of opening, with --access-log.
  Status Open(std::string path, LogFormat format);
  // Opens the path again, for a file that was moved away. The old file stays where that fails.
  Status OpenAgain();
  bool is_file() const { return !path_.empty() && path_ != "-"; }
  void Write(const RequestRecord& record);

 private:
  void NoteLoss(int error);

  std::string path_;
  LogFormat format_ = LogFormat::kText;
  Descriptor file_;
  bool regular_ = false, torn_ = false;  // torn: the last line has no end
  uint64_t lost_ = 0;
};

}  // namespace headrace::serve
