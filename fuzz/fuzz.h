// What the fuzz targets share: each takes bytes as a hostile user or a broken disk would hand them, and goes the way of
// the code's callers. Beside what the sanitizers see, a target aborts where a promise of the header it tests is broken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::fuzz {

inline std::string_view Text(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

// The input cut at each line "----": targets that read several files.
std::vector<std::string> Parts(std::string_view input);

// A file in a folder of this process's own, which goes with it.
std::string FilePath(const std::string& name);
// Its path, with this content.
std::string WriteFile(const std::string& name, std::string_view content);

// Aborts with the words.
void Require(bool holds, const char* what);
// Of every message for people: one line.
void RequireOneLine(const std::string& message);

}  // namespace headrace::fuzz
