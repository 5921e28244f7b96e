#include "report/progress_line.h"

#include <unistd.h>

#include "base/say.h"

namespace headrace::cli {

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO) == 1 && !NotesLeftOut()) {}

void ProgressLine::Show(const std::string& text) {
  if (!terminal_ || text == shown_) return;
  const std::string line = text.empty() ? "\r\x1b[K" : "\r\x1b[Kheadrace: " + text;
  SayRaw(line);
  shown_ = text;
}

ProgressLog::ProgressLog() : terminal_(isatty(STDERR_FILENO) == 1 && !NotesLeftOut()) {}

void ProgressLog::Show(const std::string& text) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || text.empty() || now < next_) return;
  next_ = now + std::chrono::seconds(2);
  Say(text);
}

}  // namespace headrace::cli
