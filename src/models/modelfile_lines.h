// The commands of a Modelfile, before anybody knows what they mean. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace headrace::cli {

struct ModelfileCommand {
  size_t line = 0;      // where it begins, from 1
  std::string keyword;  // upper case
  std::string name;     // the first word after PARAMETER and MESSAGE
  std::string value;    // without quotes and surrounding blanks
};

// An error about one line.
Status ModelfileError(const std::string& file, size_t line, const std::string& what);

// Errors: kInvalidArgument for bytes that are no text, a line without a value, a quote without end.
Result<std::vector<ModelfileCommand>> SplitModelfile(std::string_view text, const std::string& file);

}  // namespace headrace::cli
