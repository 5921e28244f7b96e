#include "batch/result_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "base/standard_streams.h"
#include "batch/file_error.h"
#include "batch/line_reader.h"

namespace headrace::batch {
namespace {

// A name in a folder outlives a power loss once the folder is on the disk.
Status SyncFolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const Descriptor fd(open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.valid() && (fsync(fd.get()) == 0 || errno == EINVAL)) return {};
  if (errno == EACCES) return {};  // a folder that may be written and not read
  return SystemError(path, "bring its name to the disk");
}

constexpr std::string_view kBeginning = "{\"id\":\"batch_req_";

bool CouldBegin(std::string_view text) { return text.starts_with(kBeginning) || kBeginning.starts_with(text); }

// What the file system left of a line whose bytes were not on the disk when the power went: zeros.
bool HasZeros(std::string_view text) { return text.find('\0') != text.npos; }

constexpr const char* kOthers = "name another file with -o, or --overwrite it";

}  // namespace

Status ResultFile::Lock() {
  while (true) {
    file_ = Descriptor(open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666));
    if (!file_.valid()) return SystemError(path_, "open for the results");
    struct stat info {
    }, named{};
    if (fstat(file_.get(), &info) != 0) return SystemError(path_, "stat");
    if (!S_ISREG(info.st_mode))
      return Status(Code::kInvalidArgument,
                    path_ + " is not a regular file, so headrace could not continue the batch later; name one with -o");
    if (flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return SystemError(path_, "lock");
      return Status(Code::kInvalidArgument,
                    fmt::format("another batch writes into {}; wait for it, or name another file with -o", path_));
    }
    bytes_ = static_cast<uint64_t>(info.st_size);
    // Who held it before may have put another file in its place.
    if (stat(path_.c_str(), &named) == 0 && named.st_ino == info.st_ino && named.st_dev == info.st_dev)
      return SyncFolderOf(path_);
  }
}

Result<ResultFile> ResultFile::Open(const std::string& path, const RequestFile& requests, Existing existing) {
  ResultFile file;
  file.path_ = path;
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && info.st_dev == requests.device() && info.st_ino == requests.inode()) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} holds the requests; name another file for the results with -o", path));
  }
  HEADRACE_RETURN_IF_ERROR(file.Lock());
  if (existing == Existing::kOverwrite) {
    HEADRACE_RETURN_IF_ERROR(file.Truncate(0));
    return file;
  }
  Content content;
  HEADRACE_RETURN_IF_ERROR(file.ReadAll(requests, content));
  file.damaged_ = content.damaged;
  if (content.sound_bytes < file.bytes_) HEADRACE_RETURN_IF_ERROR(file.Truncate(content.sound_bytes));
  const bool take_failed_out = existing == Existing::kRetryErrors && content.failed > 0;
  if (take_failed_out || content.holes > 0) {
    HEADRACE_RETURN_IF_ERROR(file.Rewrite(take_failed_out));
    file.custom_ids_.clear();
    file.ids_.clear();
    content = {};
    HEADRACE_RETURN_IF_ERROR(file.ReadAll(requests, content));
  }
  return file;
}

Status ResultFile::ReadAll(const RequestFile& requests, Content& content) {
  LineReader reader(file_.get(), UINT64_MAX);
  const auto not_ours = [&](uint64_t number) {
    return Status(Code::kInvalidArgument,
                  fmt::format("line {} of {} is not a result of a batch; {}", number, path_, kOthers));
  };
  uint64_t unexplained = 0;  // the first line that may be what was lost of a result, or anything else
  while (true) {
    const auto line = reader.Next();
    if (!line.ok()) return Status(line.status().code(), path_ + " " + line.status().message());
    if (!line->has_value()) break;
    const Line& text = **line;
    // Cut off by a kill, a full disk or a power loss; anything else is not ours to cut.
    if (HasZeros(text.text) || !text.complete) {
      const std::string_view beginning = std::string_view(text.text).substr(0, text.text.find('\0'));
      if (!CouldBegin(beginning)) return not_ours(text.number);
      const bool zeros_alone = text.text.find_first_not_of('\0') == text.text.npos;
      if (beginning.empty() && !zeros_alone && unexplained == 0) unexplained = text.number;
      ++content.damaged;
      continue;
    }
    const auto key = ParseResult(text.text);
    if (!key.ok())
      return Status(Code::kInvalidArgument,
                    fmt::format("line {} of {} {}; {}", text.number, path_, key.status().message(), kOthers));
    if (!key->custom_id.empty() && !requests.Has(key->custom_id)) {
      return Status(Code::kInvalidArgument,
                    fmt::format("{} has results of other requests: no request has the custom_id \"{}\" of line {}; {}",
                                path_, key->custom_id, text.number, kOthers));
    }
    if (key->custom_id.empty()) {
      ids_.insert(key->id);
    } else {
      custom_ids_.insert(key->custom_id);
    }
    content.failed += key->failed;
    content.holes = content.damaged;
    content.sound_bytes = text.end;
  }
  return unexplained > 0 && content.sound_bytes == 0 ? not_ours(unexplained) : Status();
}

bool ResultFile::Has(const RequestEntry& entry) const {
  return entry.custom_id.empty() ? ids_.count(entry.id()) > 0 : custom_ids_.count(entry.custom_id) > 0;
}

// A new file beside it takes its place in one step, so that a kill or a full disk loses nothing.
Status ResultFile::Rewrite(bool failed) {
  std::string temporary = path_ + ".XXXXXX";
  Descriptor copy(mkostemp(temporary.data(), O_APPEND | O_CLOEXEC));
  if (!copy.valid()) return SystemError(temporary, "create");
  const auto give_up = [&](Status status) {
    unlink(temporary.c_str());
    return status;
  };
  struct stat info {};
  if (fstat(file_.get(), &info) != 0 || fchmod(copy.get(), info.st_mode & 07777) != 0 ||
      flock(copy.get(), LOCK_EX | LOCK_NB) != 0) {
    return give_up(SystemError(temporary, "prepare"));
  }
  uint64_t bytes = 0;
  LineReader reader(file_.get(), UINT64_MAX);
  while (true) {
    const auto line = reader.Next();
    if (!line.ok()) return give_up(Status(line.status().code(), path_ + " " + line.status().message()));
    if (!line->has_value()) break;
    const auto key = ParseResult((*line)->text);
    if (!key.ok() || (failed && key->failed)) continue;
    if ((errno = WriteAll(copy.get(), (*line)->text + "\n")) != 0) return give_up(SystemError(temporary, "write"));
    bytes += (*line)->text.size() + 1;
  }
  if (fsync(copy.get()) != 0 || rename(temporary.c_str(), path_.c_str()) != 0)
    return give_up(SystemError(temporary, "put in place"));
  // Else what is appended from now on would be in a file that has no name after a power loss.
  HEADRACE_RETURN_IF_ERROR(SyncFolderOf(path_));
  file_ = std::move(copy);
  bytes_ = bytes;
  return {};
}

Status ResultFile::Truncate(uint64_t bytes) {
  if (ftruncate(file_.get(), static_cast<off_t>(bytes)) != 0)
    return SystemError(path_, "cut off a line that is not whole");
  bytes_ = bytes;
  return {};
}

Status ResultFile::Append(std::string_view line) {
  if ((errno = WriteAll(file_.get(), line)) != 0) {
    const Status failed = SystemError(path_, "write a result");
    // If this fails too the next run cuts it off.
    [[maybe_unused]] const Status cut = Truncate(bytes_);
    return Status(Code::kIo, failed.message());
  }
  bytes_ += line.size();
  return {};
}

Status ResultFile::Sync() const {
  if (fdatasync(file_.get()) == 0 || errno == EINVAL) return {};
  return Status(Code::kIo, fmt::format("{}: cannot write the results to the disk: {}", path_, std::strerror(errno)));
}

}  // namespace headrace::batch
