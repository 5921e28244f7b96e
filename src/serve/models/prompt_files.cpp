#include "serve/models/prompt_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/size.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUnfinished = ".part";

std::string NameOf(const PromptFiles::File& file) {
  return fmt::format("{:016x}-{}-{:016x}.kv", file.key, file.slot, file.hash);
}

std::optional<PromptFiles::File> ParseName(const std::string& name) {
  PromptFiles::File file;
  unsigned long long key = 0, slot = 0, hash = 0;
  if (std::sscanf(name.c_str(), "%16llx-%6llu-%16llx.kv", &key, &slot, &hash) != 3) return std::nullopt;
  file.key = key;
  file.slot = slot;
  file.hash = hash;
  file.name = name;
  // Other ways to write the same numbers are not ours.
  if (NameOf(file) != name) return std::nullopt;
  return file;
}

// Of a process that is gone, which could not finish it.
bool IsAbandoned(const std::string& name) {
  unsigned long long key = 0, slot = 0;
  int process = 0, end = 0;
  if (std::sscanf(name.c_str(), "%16llx-%6llu-%d.part%n", &key, &slot, &process, &end) != 3 ||
      end != static_cast<int>(name.size()))
    return false;
  return process > 0 && ::kill(process, 0) != 0 && errno == ESRCH;
}

std::optional<uint64_t> HashOf(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  std::string piece(kMiB, '\0');
  uint64_t hash = kHashSeed;
  while (file.valid()) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0) break;
    if (got == 0) return hash;
    hash = HashBytes({piece.data(), static_cast<size_t>(got)}, hash);
  }
  return std::nullopt;
}

}  // namespace

Status PromptFiles::Prepare() const {
  std::error_code error;
  fs::create_directories(fs::path(folder_).parent_path(), error);
  // Prompts are their writers' own.
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) {
    return Status(Code::kIo, fmt::format("{}: cannot create the folder: {}", folder_, std::strerror(errno)));
  }
  if (!fs::is_directory(folder_, error)) return Status(Code::kInvalidArgument, folder_ + " is no folder");
  struct stat info {};
  if (::stat(folder_.c_str(), &info) != 0)
    return Status(Code::kIo, fmt::format("{}: {}", folder_, std::strerror(errno)));
  if (info.st_uid != ::geteuid() || (info.st_mode & 022) != 0) {
    return Status(
        Code::kPermission,
        fmt::format("{}: {}: prompts are kept only where nobody else can write; name a folder of your own (chmod 700)",
                    folder_, info.st_uid != ::geteuid() ? "it is another user's" : "others may write there"));
  }
  if (::access(folder_.c_str(), W_OK | X_OK) != 0) return Status(Code::kPermission, folder_ + ": cannot write there");
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (IsAbandoned(entry.path().filename().string())) ::unlink(entry.path().c_str());
  }
  return {};
}

std::vector<PromptFiles::File> PromptFiles::List() const {
  std::vector<File> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    auto file = ParseName(entry.path().filename().string());
    struct stat info {};
    if (!file || ::lstat(entry.path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    file->bytes = static_cast<uint64_t>(info.st_size);
    file->modified = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
    files.push_back(std::move(*file));
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.modified > b.modified; });
  return files;
}

std::vector<PromptFiles::File> PromptFiles::Find(uint64_t key) const {
  std::vector<File> found;
  for (File& file : List()) {
    const bool older =
        std::any_of(found.begin(), found.end(), [&](const File& known) { return known.slot == file.slot; });
    if (file.key == key && !older) found.push_back(std::move(file));
  }
  std::sort(found.begin(), found.end(), [](const File& a, const File& b) { return a.slot < b.slot; });
  return found;
}

bool PromptFiles::Check(const File& file) const {
  if (HashOf(folder_ + "/" + file.name) == file.hash) return true;
  LogWarning(fmt::format("{}/{} is damaged: removed", folder_, file.name));
  Remove(file);
  return false;
}

void PromptFiles::Touch(const File& file) const {
  ::utimensat(AT_FDCWD, (folder_ + "/" + file.name).c_str(), nullptr, 0);
}

void PromptFiles::Remove(const File& file) const { ::unlink((folder_ + "/" + file.name).c_str()); }

std::string PromptFiles::UnfinishedName(uint64_t key, uint64_t slot) const {
  return fmt::format("{:016x}-{}-{}{}", key, slot, ::getpid(), kUnfinished);
}

Status PromptFiles::Keep(uint64_t key, uint64_t slot, uint64_t bytes) const {
  const std::string unfinished = folder_ + "/" + UnfinishedName(key, slot);
  std::error_code error;
  const auto hash = fs::file_size(unfinished, error) == bytes && bytes > 0 ? HashOf(unfinished) : std::nullopt;
  File file{key, slot, hash.value_or(0), "", bytes, 0};
  file.name = NameOf(file);
  ::chmod(unfinished.c_str(), 0600);
  if (!hash || ::rename(unfinished.c_str(), (folder_ + "/" + file.name).c_str()) != 0) {
    ::unlink(unfinished.c_str());
    return Status(Code::kIo, fmt::format("{}: not written as a whole", unfinished));
  }
  for (const File& old : List()) {
    if (old.key == key && old.slot == slot && old.name != file.name) Remove(old);
  }
  Shrink();
  return {};
}

void PromptFiles::Shrink() const {
  uint64_t bytes = 0;
  for (const File& file : List()) {
    bytes += file.bytes;
    if (bytes > most_bytes_) Remove(file);
  }
}

}  // namespace headrace::serve
