// The file of results: each request has at most one line in it, whatever happens to the process or the disk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/descriptor.h"
#include "base/status.h"
#include "batch/request_file.h"
#include "batch/result_line.h"

namespace headrace::batch {

enum class Existing { kResume, kRetryErrors, kOverwrite };

class ResultFile {
 public:
  // Creates it, or reads what an earlier run of the same requests wrote: a last line without a line break, which was not
  // written whole, is cut off; with kRetryErrors failed results are taken out. Nobody else may write into it meanwhile.
  // Errors: kPermission, kInvalidArgument (in use, no regular file, not results of these requests), kIo. Nothing was
  // changed then.
  static Result<ResultFile> Open(const std::string& path, const RequestFile& requests, Existing existing);

  // Whether a result was there when it was opened.
  bool Has(const RequestEntry& entry) const;
  const std::string& path() const { return path_; }

  // A whole line. Error: kIo, naming a full disk; then none of it is in the file.
  Status Append(std::string_view line);
  // Until what was appended is on the disk. Thread-safe beside Append. Error: kIo.
  Status Sync() const;

 private:
  Status Lock();
  Status ReadAll(const RequestFile& requests, uint64_t& sound_bytes);
  Status TakeFailedOut();
  Status Truncate(uint64_t bytes);

  std::string path_;
  Descriptor file_;
  uint64_t bytes_ = 0, failed_ = 0;
  std::unordered_set<std::string> custom_ids_, ids_;   // ids_: of results without a custom_id
};

}  // namespace headrace::batch
