// A file to measure a disk with, where no model is there to be read.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/descriptor.h"
#include "base/status.h"

namespace headrace::cli {

// Has no name from the start, so that it is gone whatever ends the program.
class DiskTestFile {
 public:
  // Writes `bytes` that do not compress into `folder`. Errors: kPermission, kIo (disk full, ...).
  static Result<DiskTestFile> Create(const std::string& folder, uint64_t bytes,
                                     const std::function<void(double)>& progress);
  // Opens the file while this object lives.
  std::string path() const;

 private:
  explicit DiskTestFile(Descriptor fd) : fd_(std::move(fd)) {}
  Descriptor fd_;
};

}  // namespace headrace::cli
