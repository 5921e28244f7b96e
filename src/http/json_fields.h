// Members of a request's body, each with the error that its client gets. All pure; every error is kInvalidArgument.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace headrace::serve {

// The whole body, which must be an object.
Result<Json> ObjectOf(const std::string& body);

// A member that is missing or null is `otherwise`, "" or nullopt.
Result<bool> FlagField(const Json& object, const char* name, bool otherwise);
Result<std::string> TextField(const Json& object, const char* name);
Result<std::optional<int64_t>> WholeField(const Json& object, const char* name);
// One text, or a list of texts: always the list.
Result<std::vector<std::string>> TextsField(const Json& object, const char* name);
// Null for one that is missing.
Json MemberOrNull(const Json& object, const char* name);

}  // namespace headrace::serve
