// How a command shows that it gets on.
#pragma once

#include <chrono>
#include <string>

namespace headrace::cli {

// A line on a terminal's standard error that is replaced in place; nothing where it is no terminal, or behind
// --quiet.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine() { Show(""); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  // "" takes the line away.
  void Show(const std::string& text);

 private:
  bool terminal_;
  std::string shown_;
};

// Progress as whole lines on a terminal's standard error, at most one in two seconds.
class ProgressLog {
 public:
  ProgressLog();
  void Show(const std::string& text);

 private:
  bool terminal_;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace headrace::cli
