#include "run/prompt_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/size.h"
#include "base/standard_streams.h"

namespace headrace::run {
namespace {

// More than the tokens of any context; what has no end (/dev/zero) is longer.
constexpr uint64_t kMostBytes = 256 * kMiB;

Status Failed(const std::string& path, int error) {
  const Code code = error == ENOENT || error == ENOTDIR                          ? Code::kNotFound
                    : error == EACCES || error == EPERM                          ? Code::kPermission
                    : error == EISDIR || error == ELOOP || error == ENAMETOOLONG ? Code::kInvalidArgument
                                                                                 : Code::kIo;
  return Status(code, fmt::format("the prompt cannot be read from {}: {}", path, std::strerror(error)));
}

Status TooLong(const std::string& path) {
  return Status(Code::kInvalidArgument, fmt::format("the prompt in {} is longer than {}, which no context holds", path,
                                                    FormatSize(kMostBytes)));
}

// Nothing, or the one line break that a prompt loses at its end: llama.cpp's programs would begin a chat instead.
Status NotEmpty(int fd, const std::string& name) {
  char text[2];
  const ssize_t count = ::pread(fd, text, sizeof text, 0);
  if (count < 0) return Failed(name, errno);
  if (count > 1 || (count == 1 && text[0] != '\n')) return Status();
  return Status(Code::kInvalidArgument, fmt::format("the prompt is empty: there is no text in {}", name));
}

}  // namespace

Result<PromptFile> PromptFile::Open(const std::string& path) {
  const bool standard_input = path == "-";
  const std::string name = standard_input ? "standard input" : path;
  const Descriptor opened(standard_input ? -1 : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!standard_input && !opened.valid()) return Failed(name, errno);
  const int fd = standard_input ? STDIN_FILENO : opened.get();
  struct stat info {};
  if (::fstat(fd, &info) != 0) return Failed(name, errno);
  if (S_ISDIR(info.st_mode)) return Failed(name, EISDIR);
  PromptFile file;
  // What the system makes up as it is read has no size.
  if (S_ISREG(info.st_mode) && info.st_size > 0 && !standard_input) {
    if (static_cast<uint64_t>(info.st_size) > kMostBytes) return TooLong(name);
    if (Status text = NotEmpty(fd, name); !text.ok()) return text;
    file.path_ = path;
    return file;
  }
  // Inherited by the engine's program, for which the path means the same.
  file.copy_ = Descriptor(::memfd_create("prompt", 0));
  if (!file.copy_.valid()) return Failed(name, errno);
  char piece[64 * kKiB];
  for (uint64_t bytes = 0;;) {
    const ssize_t count = ::read(fd, piece, sizeof piece);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Failed(name, errno);
    if (count == 0) break;
    if ((bytes += static_cast<uint64_t>(count)) > kMostBytes) return TooLong(name);
    if (const int error = WriteAll(file.copy_.get(), {piece, static_cast<size_t>(count)}); error != 0)
      return Failed(name, error);
  }
  if (Status text = NotEmpty(file.copy_.get(), name); !text.ok()) return text;
  file.path_ = fmt::format("/proc/self/fd/{}", file.copy_.get());
  return file;
}

}  // namespace headrace::run
