// Small text files, as the system publishes them. Parsers take a ReadText, so that tests can feed them the
// files of other machines.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace headrace {

// The content of a small text file (at most 1 MiB of it), nullopt when it cannot be read.
using ReadText = std::function<std::optional<std::string>(const std::string& path)>;
std::optional<std::string> ReadTextFile(const std::string& path);

}  // namespace headrace
