// llama-completion ends its text with " [end of text]" and blank lines of its own. This takes them off the
// end of a stream while it passes, and leaves exactly one line break there.
#pragma once

#include <string>
#include <string_view>

namespace headrace::run {

class AnswerFilter {
 public:
  // What can be written by now: everything but an end that may still turn out to be the engine's.
  std::string Feed(std::string_view text);
  // What is left at the end of the stream.
  std::string Finish();

 private:
  std::string held_;
  bool wrote_ = false;
  bool ends_in_newline_ = false;
};

}  // namespace headrace::run
