// SHA-256 of a file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"

namespace headrace {

// 64 small hexadecimal digits. `on_progress` is told the bytes that were read, and returns false to stop. Errors:
// kNotFound, kIo, kCancelled.
Result<std::string> Sha256OfFile(const std::string& path, const std::function<bool(uint64_t)>& on_progress);

// Whether `text` is such digits.
bool IsSha256(const std::string& text);

}  // namespace headrace
