#include "serve/shaping_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/hash.h"
#include "base/size.h"

namespace headrace::serve {
namespace {

struct Option {
  const char* name;
  bool scaled;
};
constexpr Option kOptions[] = {{"--lora", false}, {"--lora-scaled", true}, {"--control-vector", false}, {"--control-vector-scaled", true}};

// As llama.cpp parts them: a quote may hold commas, and two quotes in it are one.
std::vector<std::string> Fields(const std::string& row) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < row.size(); ++i) {
    if (row[i] == '"' && quoted && i + 1 < row.size() && row[i + 1] == '"') {
      fields.back() += row[++i];
    } else if (row[i] == '"') {
      quoted = !quoted;
    } else if (row[i] == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += row[i];
    }
  }
  return fields;
}

}  // namespace

std::vector<std::string> ShapingFiles(const std::vector<std::string>& arguments) {
  std::vector<std::string> paths;
  for (size_t i = 0; i + 1 < arguments.size(); ++i) {
    const auto option = std::find_if(std::begin(kOptions), std::end(kOptions), [&](const Option& known) { return arguments[i] == known.name; });
    if (option == std::end(kOptions)) continue;
    for (std::string& field : Fields(arguments[i + 1])) {
      if (option->scaled) field = field.substr(0, field.rfind(':'));
      if (!field.empty()) paths.push_back(std::move(field));
    }
  }
  return paths;
}

Result<uint64_t> HashFiles(const std::vector<std::string>& paths, uint64_t seed) {
  std::string piece(kMiB, '\0');
  for (const std::string& path : paths) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ssize_t got = file.valid() ? 1 : -1;
    uint64_t bytes = 0;
    while (got > 0) {
      got = ::read(file.get(), piece.data(), piece.size());
      if (got <= 0) break;
      seed = HashBytes({piece.data(), static_cast<size_t>(got)}, seed);
      bytes += static_cast<uint64_t>(got);
    }
    if (got < 0) return Status(errno == ENOENT ? Code::kNotFound : Code::kIo, fmt::format("{}: {}", path, std::strerror(errno)));
    seed = HashBytes(fmt::format(" {} ", bytes), seed);
  }
  return seed;
}

}  // namespace headrace::serve
