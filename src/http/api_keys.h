// The keys that requests must bring, from the command line, the environment and a file.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace headrace::serve {

// Those of --api-key, where one argument may hold several, parted by commas, as llama-server takes them. Errors:
// kInvalidArgument for one that is empty or that no header can carry: who gives a key must not get an open server.
Result<std::vector<std::string>> SplitKeys(const std::vector<std::string>& given);

// One key a line; blank lines and those that begin with # count for nothing. A line is logged where others may read the
// file. Errors: kNotFound, kPermission, kInvalidArgument (no key in it, one that no header can carry).
Result<std::vector<std::string>> ReadKeyFile(const std::string& path);

}  // namespace headrace::serve
