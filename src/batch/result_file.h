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
  // Creates it, or reads what an earlier run of the same requests wrote. A result that was not written whole is taken
  // out: a last line without a line break, and after a power loss a line in which the disk has zeros where bytes should
  // be. With kRetryErrors failed results are taken out too. Nobody else may write into it meanwhile. Errors:
  // kPermission, kInvalidArgument (in use, no regular file, not results of these requests), kIo. Nothing was changed
  // then.
  static Result<ResultFile> Open(const std::string& path, const RequestFile& requests, Existing existing);

  // Whether a result was there when it was opened.
  bool Has(const RequestEntry& entry) const;
  const std::string& path() const { return path_; }
  // Results that were taken out because they were not written whole.
  uint64_t damaged() const { return damaged_; }

  // A whole line. Error: kIo, naming a full disk; then none of it is in the file.
  Status Append(std::string_view line);
  // Until what was appended is on the disk. Thread-safe beside Append. Error: kIo.
  Status Sync() const;

 private:
  Status Lock();
  struct Content {
    uint64_t sound_bytes = 0;  // to the end of the last sound line
    uint64_t failed = 0;       // sound lines
    uint64_t damaged = 0;      // lines
    uint64_t holes = 0;        // of those, before sound lines
  };
  Status ReadAll(const RequestFile& requests, Content& content);
  // Leaves the damaged lines out, and with `failed` the failed results.
  Status Rewrite(bool failed);
  Status Truncate(uint64_t bytes);

  std::string path_;
  Descriptor file_;
  uint64_t bytes_ = 0, damaged_ = 0;
  std::unordered_set<std::string> custom_ids_, ids_;  // ids_: of results without a custom_id
};

}  // namespace headrace::batch
