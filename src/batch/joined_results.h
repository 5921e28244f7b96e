// The results of several shards as one file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "batch/request_file.h"

namespace headrace::batch {

struct JoinCounts {
  uint64_t results = 0;
  uint64_t failed = 0;   // of these: errors
  uint64_t twice = 0;    // results that were left out: another file had one for the same request
  uint64_t damaged = 0;  // lines that were not written whole
};

// Writes `path`, with one result for each request, in the order of the requests. Of two results for one request it
// takes one that is no error, else the first. `path` gets its name when all is on the disk; a file that is there is an
// error unless `overwrite`. Errors: kInvalidArgument for a line that is no result or no result of these requests,
// kNotFound with the requests that have no result, kPermission, kIo. Nothing was written then.
Result<JoinCounts> JoinResults(const RequestFile& requests, const std::vector<std::string>& files,
                               const std::string& path, bool overwrite);

}  // namespace headrace::batch
