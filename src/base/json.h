// JSON that comes from outside: of clients, of files that people and other programs write, of the engine.
#pragma once

#include <climits>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/status.h"

namespace headrace {

using Json = nlohmann::json;

// Deeper values would overflow the stack of whoever copies them or walks through them, also of the engine.
inline constexpr int kDeepestJson = 200;
// An ordered object looks through all its keys for each new one.
inline constexpr size_t kMostOrderedKeys = 10'000;
inline constexpr int kAllLevels = INT_MAX;

// The one way in. What it returns can be copied, walked through and printed. Errors: kInvalidArgument with what is
// wrong, to follow "no JSON: ": no JSON, bytes that are no UTF-8, half a surrogate pair, a number that no double holds,
// a NUL, a key twice in one object, nested too deep. With `kept_levels` the content of deeper lists and objects is read
// and left out; only what is kept is searched for keys that come twice.
Result<Json> ParseJson(std::string_view text, int kept_levels = kAllLevels);
// The same where the order of keys is to stay, for objects of at most kMostOrderedKeys.
Result<nlohmann::ordered_json> ParseOrderedJson(std::string_view text);

// Null where ParseJson fails: for answers that are looked into and not needed.
Json JsonOrNull(std::string_view text);

// Of a member that may be missing or of any kind; an `object` that is none has no members.
const Json* FindMember(const Json& object, const char* name);
std::string TextOf(const Json& object, const char* name);  // "" unless it is a text
uint64_t CountOf(const Json& object, const char* name);    // 0 unless it is a whole number above it
double NumberOf(const Json& object, const char* name);     // 0 unless it is a number
bool IsTrue(const Json& object, const char* name);

// For a value that is measured or foretold, and null where it is not known.
inline Json NumberOrNull(double value) { return value > 0 ? Json(value) : Json(); }

}  // namespace headrace
