#include "serve/models/file_hash.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/hash.h"
#include "base/size.h"

namespace headrace::serve {

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
    if (got < 0)
      return Status(errno == ENOENT ? Code::kNotFound : Code::kIo, fmt::format("{}: {}", path, std::strerror(errno)));
    seed = HashBytes(fmt::format(" {} ", bytes), seed);
  }
  return seed;
}

}  // namespace headrace::serve
