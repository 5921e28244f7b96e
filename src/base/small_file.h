// Small files of headrace's own that several processes may read and replace at any time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace headrace {

// The whole file. Errors: kNotFound, kPermission, kInvalidArgument (not a regular file), kCorrupt (longer than
// `most_bytes`), kIo.
Result<std::string> ReadSmallFile(const std::string& path, uint64_t most_bytes);

// Replaces the file in one step, creating its folders: whoever reads it sees the old bytes or the new ones. Only
// this user may read it. Errors: kPermission, kIo; then nothing has changed.
Status ReplaceFile(const std::string& path, std::string_view bytes);

}  // namespace headrace
