#include "telemetry/snapshot_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "telemetry/snapshot.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "headrace-";

std::vector<std::string> FilesThatBegin(const std::string& folder, std::string_view beginning) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with(beginning)) paths.push_back(it->path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// The process in a file's name, 0 when it names none.
pid_t OwnerOf(const std::string& path) {
  const std::string name = fs::path(path).filename().string();
  if (!name.starts_with(kPrefix)) return 0;
  pid_t owner = 0;
  const char* const last = name.data() + name.size();
  const auto [end, error] = std::from_chars(name.data() + kPrefix.size(), last, owner);
  return error == std::errc() && end != last && *end == '-' && owner > 0 ? owner : 0;
}

}  // namespace

std::vector<std::string> SnapshotFolders() {
  std::vector<std::string> folders;
  const char* temporary = std::getenv("TMPDIR");
  for (const char* folder : {"/dev/shm", temporary, "/tmp"}) {
    if (folder != nullptr && *folder != '\0' && std::find(folders.begin(), folders.end(), folder) == folders.end())
      folders.emplace_back(folder);
  }
  return folders;
}

Result<std::string> CreateSnapshotFile() {
  std::string why;
  for (const std::string& folder : SnapshotFolders()) {
    std::string path = fmt::format("{}/{}{}-XXXXXX", folder, kPrefix, ::getpid());
    const Descriptor file(::mkostemp(path.data(), O_CLOEXEC));
    const int error = file.valid() ? ReserveSnapshot(file.get()) : errno;
    if (error == 0) return path;
    if (file.valid()) ::unlink(path.c_str());
    why += fmt::format("{}{}: {}", why.empty() ? "" : "; ", folder, std::strerror(error));
  }
  return Status(Code::kIo,
                fmt::format("this run has no statistics, because headrace cannot create a file for them ({})", why));
}

int ReserveSnapshot(int fd) {
  int error = 0;
  do {
    error = ::posix_fallocate(fd, 0, sizeof(Snapshot));
  } while (error == EINTR);
  return error;
}

std::vector<std::string> FindSnapshotFiles(const std::vector<std::string>& folders) {
  std::vector<std::string> paths;
  for (const std::string& folder : folders) {
    for (std::string& path : FilesThatBegin(folder, kPrefix)) {
      if (OwnerOf(path) > 0) paths.push_back(std::move(path));
    }
  }
  return paths;
}

std::vector<std::string> SnapshotFilesOf(const std::string& path) {
  std::vector<std::string> paths = {path};
  const fs::path whole(path);
  for (std::string& other : FilesThatBegin(whole.parent_path().string(), whole.filename().string() + "."))
    paths.push_back(std::move(other));
  return paths;
}

bool RemoveIfAbandoned(const std::string& path) {
  const pid_t owner = OwnerOf(path);
  if (owner == 0 || ::kill(owner, 0) == 0 || errno != ESRCH) return false;
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != ::geteuid()) return false;
  const auto view = SnapshotView::Open(path);
  const bool nobodys = view.ok() ? !view->alive() : view.status().code() == Code::kNotFound;
  return nobodys && ::unlink(path.c_str()) == 0;
}

}  // namespace headrace
