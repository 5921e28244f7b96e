#include "base/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/descriptor.h"
#include "base/standard_streams.h"

namespace headrace {
namespace {

Status SystemError(const std::string& path, const char* action, int error) {
  const Code code = error == ENOENT                                       ? Code::kNotFound
                    : error == EACCES || error == EPERM || error == EROFS ? Code::kPermission
                                                                          : Code::kIo;
  return Status(code, path + ": cannot " + action + ": " + std::strerror(error));
}

}  // namespace

Result<std::string> ReadSmallFile(const std::string& path, uint64_t most_bytes) {
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return SystemError(path, "open", errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return SystemError(path, "stat", errno);
  if (!S_ISREG(info.st_mode)) return Status(Code::kInvalidArgument, path + ": not a regular file");
  if (static_cast<uint64_t>(info.st_size) > most_bytes) return Status(Code::kCorrupt, path + ": too long");
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t at = 0;
  while (at < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + at, text.size() - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError(path, "read", errno);
    if (got == 0) break;
    at += static_cast<size_t>(got);
  }
  text.resize(at);
  return text;
}

Status ReplaceFile(const std::string& path, std::string_view bytes) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return SystemError(path, "create the folder of it", error.value());
  std::string temporary = path + ".XXXXXX";
  const Descriptor file = AboveStandardStreams(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file.valid()) return SystemError(path, "create", errno);
  int failure = WriteAll(file.get(), bytes);
  if (failure == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) failure = errno;
  if (failure == 0) return {};
  const Status failed = SystemError(path, "write", failure);
  ::unlink(temporary.c_str());
  return failed;
}

}  // namespace headrace
