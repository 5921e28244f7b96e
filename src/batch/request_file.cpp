#include "batch/request_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "batch/line_reader.h"

namespace headrace::batch {
namespace {

Status FileError(const std::string& name, const char* action) {
  const int error = errno;
  const Code code = error == ENOENT                     ? Code::kNotFound
                    : error == EACCES || error == EPERM ? Code::kPermission
                                                        : Code::kIo;
  return Status(code, fmt::format("{}: cannot {}: {}", name, action, std::strerror(error)));
}

// A pipe's content as a file without a name.
Result<Descriptor> CopyOf(int source, const std::string& name) {
  const char* folder = std::getenv("TMPDIR");
  std::string path = std::string(folder == nullptr || *folder == '\0' ? "/tmp" : folder) + "/headrace-XXXXXX";
  Descriptor copy(mkostemp(path.data(), O_CLOEXEC));
  if (!copy.valid()) return FileError(path, "create");
  unlink(path.c_str());
  std::string piece(1 << 20, '\0');
  while (true) {
    const ssize_t got = read(source, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(name, "read");
    if (got == 0) return copy;
    for (ssize_t at = 0; at < got;) {
      const ssize_t written = write(copy.get(), piece.data() + at, static_cast<size_t>(got - at));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return FileError(path, "write a copy of the requests; $TMPDIR names another folder for it");
      at += written;
    }
  }
}

}  // namespace

std::string RequestEntry::id() const { return fmt::format("batch_req_{}", line); }

Result<RequestFile> RequestFile::Open(const std::string& path) {
  RequestFile file;
  file.name_ = path == "-" ? "standard input" : path;
  file.file_ =
      Descriptor(path == "-" ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.file_.valid()) return FileError(file.name_, "open");
  struct stat info {};
  if (fstat(file.file_.get(), &info) != 0) return FileError(file.name_, "stat");
  if (S_ISDIR(info.st_mode))
    return Status(Code::kInvalidArgument,
                  fmt::format("{} is a folder; name a file with one request on each line", path));
  file.device_ = info.st_dev;
  file.inode_ = info.st_ino;
  if (!S_ISREG(info.st_mode)) {
    auto copy = CopyOf(file.file_.get(), file.name_);
    if (!copy.ok()) return copy.status();
    file.file_ = std::move(*copy);
  }
  HEADRACE_RETURN_IF_ERROR(file.ReadAll());
  return file;
}

Status RequestFile::ReadAll() {
  LineReader reader(file_.get());
  while (true) {
    auto line = reader.Next();
    if (!line.ok()) return Status(line.status().code(), name_ + " " + line.status().message());
    if (!line->has_value()) return {};
    std::string& text = (*line)->text;
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    RequestEntry entry;
    entry.line = (*line)->number;
    entry.offset = (*line)->offset;
    entry.bytes = text.size();
    if (entry.line == 1 && text.starts_with(kByteOrderMark)) {
      entry.offset += kByteOrderMark.size();
      entry.bytes -= kByteOrderMark.size();
      text.erase(0, kByteOrderMark.size());
    }
    if (!(*line)->too_long && text.find_first_not_of(" \t\r\v\f") == std::string::npos) continue;
    Request request;
    if ((*line)->too_long) {
      request.problem = fmt::format("it is longer than {} MiB", kLongestLine >> 20);
    } else {
      request = ParseRequest(text);
    }
    if (!request.custom_id.empty()) {
      const auto [first, fresh] = by_id_.emplace(request.custom_id, entry.line);
      if (fresh) {
        entry.custom_id = request.custom_id;
      } else {
        request.problem = fmt::format("its custom_id \"{}\" is that of line {}", request.custom_id, first->second);
      }
    }
    if (request.problem.empty()) {
      entry.endpoint = request.endpoint;
      entry.demand = DemandOf(request);
    } else {
      entry.problem = fmt::format("line {} was skipped: {}", entry.line, request.problem);
    }
    entries_.push_back(std::move(entry));
  }
}

Result<Request> RequestFile::Read(const RequestEntry& entry) const {
  std::string text(entry.bytes, '\0');
  for (size_t at = 0; at < text.size();) {
    const ssize_t got = pread(file_.get(), text.data() + at, text.size() - at, static_cast<off_t>(entry.offset + at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(name_, "read");
    if (got == 0) break;
    at += static_cast<size_t>(got);
  }
  Request request = ParseRequest(text);
  if (request.problem.empty() && request.custom_id == entry.custom_id) return request;
  return Status(
      Code::kChanged,
      fmt::format(
          "line {} of {} changed while the batch ran; the results so far stay, run the same command again for the rest",
          entry.line, name_));
}

}  // namespace headrace::batch
