// The small files of another machine, for tests.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "base/text_file.h"

namespace headrace {

inline ReadText TextFiles(std::map<std::string, std::string> files) {
  return [files = std::move(files)](const std::string& path) -> std::optional<std::string> {
    const auto it = files.find(path);
    return it == files.end() ? std::nullopt : std::optional<std::string>(it->second);
  };
}

}  // namespace headrace
