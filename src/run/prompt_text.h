// The text of a prompt as llama-completion takes it from its options.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace headrace::run {

// \n, \r, \t, \', \", \\ and \xHH are what they stand for; any other backslash stays. Pure.
std::string ProcessEscapes(std::string_view text);

// -p's text, or else the file's without one line break at its end. Errors: those of reading the file; kUnsupported for
// text that is not UTF-8 and that JSON therefore cannot carry.
Result<std::string> PromptText(const std::optional<std::string>& prompt, const std::optional<std::string>& prompt_file,
                               bool escapes);

}  // namespace headrace::run
