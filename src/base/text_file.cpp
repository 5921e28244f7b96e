#include "base/text_file.h"

#include <fstream>

#include "base/size.h"

namespace headrace {

std::optional<std::string> ReadTextFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string text;
  char piece[4096];
  while (text.size() < kMiB && (file.read(piece, sizeof piece), file.gcount() > 0)) {
    text.append(piece, static_cast<size_t>(file.gcount()));
  }
  if (file.bad()) return std::nullopt;
  return text;
}

}  // namespace headrace
