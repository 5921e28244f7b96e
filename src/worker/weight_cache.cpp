#include "worker/weight_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/descriptor.h"
#include "base/hash.h"

namespace headrace {
namespace {

constexpr size_t kNameLength = 16;

bool IsPieceName(std::string_view name) {
  return name.size() == kNameLength && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

struct Piece {
  std::string path;
  uint64_t bytes = 0;
  WeightCache::Time used;
};

WeightCache::Time UsedAt(const struct stat& status) {
  return WeightCache::Time(std::chrono::duration_cast<WeightCache::Time::duration>(
      std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec)));
}

std::vector<Piece> PiecesIn(const std::string& folder) {
  std::vector<Piece> pieces;
  DIR* const directory = opendir(folder.c_str());
  if (directory == nullptr) return pieces;
  while (const dirent* entry = readdir(directory)) {
    struct stat status {};
    if (!IsPieceName(entry->d_name) || fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(status.st_mode))
      continue;
    pieces.push_back({folder + "/" + entry->d_name, static_cast<uint64_t>(status.st_size), UsedAt(status)});
  }
  closedir(directory);
  return pieces;
}

}  // namespace

bool WeightCache::Owns(std::string_view path) const {
  const size_t slash = path.rfind('/');
  if (folder_.empty() || slash == std::string_view::npos || !IsPieceName(path.substr(slash + 1))) return false;
  std::string_view folder = path.substr(0, slash), own = folder_;
  while (folder.ends_with('/')) folder.remove_suffix(1);
  while (own.ends_with('/')) own.remove_suffix(1);
  return folder == own;
}

bool WeightCache::Use(const std::string& path) const {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.valid()) return false;
  char bytes[64 << 10];
  uint64_t hash = kHashSeed;
  ssize_t count = 0;
  while ((count = read(file.get(), bytes, sizeof bytes)) > 0)
    hash = HashBytes(std::string_view(bytes, static_cast<size_t>(count)), hash);
  if (count == 0 && path.ends_with(fmt::format("{:016x}", hash))) {
    futimens(file.get(), nullptr);
    return true;
  }
  unlink(path.c_str());
  return false;
}

bool WeightCache::MakeRoom(uint64_t bytes, Time since) const {
  std::vector<Piece> pieces = PiecesIn(folder_);
  uint64_t used = 0;
  for (const Piece& piece : pieces) used += piece.bytes;
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.used < b.used; });
  const uint64_t most = most_bytes_ - std::min(most_bytes_, bytes);
  for (const Piece& piece : pieces) {
    if (used <= most || piece.used >= since) break;
    if (unlink(piece.path.c_str()) == 0) used -= piece.bytes;
  }
  return used <= most && bytes <= most_bytes_;
}

}  // namespace headrace
