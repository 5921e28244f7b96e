// The file that a prompt comes from.
#pragma once

#include <string>

#include "base/descriptor.h"
#include "base/status.h"

namespace headrace::run {

// A path from which the prompt can be read as often as it is needed: one that can be read only once (standard input,
// which "-" stands for, a pipe, a terminal) is read here to its end, into memory that has a path as long as this lives.
class PromptFile {
 public:
  // Errors: kNotFound, kPermission, kInvalidArgument (a folder, no text, longer than any context), kIo.
  static Result<PromptFile> Open(const std::string& path);
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  Descriptor copy_;
};

}  // namespace headrace::run
