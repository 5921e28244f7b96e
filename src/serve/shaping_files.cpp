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
#include "cli/file_arguments.h"

namespace headrace::serve {
namespace {

struct Option {
  const char* name;
  bool scaled;
};
constexpr Option kOptions[] = {{"--lora", false}, {"--lora-scaled", true}, {"--control-vector", false}, {"--control-vector-scaled", true}};

}  // namespace

std::vector<std::string> ShapingFiles(const std::vector<std::string>& arguments) {
  std::vector<std::string> paths;
  for (size_t i = 0; i + 1 < arguments.size(); ++i) {
    const auto option = std::find_if(std::begin(kOptions), std::end(kOptions), [&](const Option& known) { return arguments[i] == known.name; });
    if (option == std::end(kOptions)) continue;
    for (std::string& field : cli::ListFields(arguments[i + 1])) {
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
