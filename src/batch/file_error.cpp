#include "batch/file_error.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace headrace::batch {

Status SystemError(const std::string& path, const char* action) {
  const int error = errno;
  const Code code = error == ENOENT                                       ? Code::kNotFound
                    : error == EACCES || error == EPERM || error == EROFS ? Code::kPermission
                                                                          : Code::kIo;
  return Status(code, fmt::format("{}: cannot {}: {}", path, action, std::strerror(error)));
}

}  // namespace headrace::batch
