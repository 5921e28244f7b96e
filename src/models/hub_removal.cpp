#include "models/hub_removal.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "base/split_name.h"
#include "models/file_names.h"
#include "models/hub_names.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;

constexpr int kPartsBelow = 4;  // repository, "snapshots", version, and a file at least

// "HUB/models--USER--NAME" of a model's path, empty for what is not in the cache.
fs::path RepositoryOf(const std::string& hub_folder, const std::string& path) {
  const fs::path hub = fs::path(hub_folder).lexically_normal();
  const fs::path below = fs::path(path).lexically_normal().lexically_relative(hub);
  if (hub_folder.empty() || std::distance(below.begin(), below.end()) < kPartsBelow) return {};
  auto part = below.begin();
  const std::string repository = *part++;
  if (HubRepositoryOf(repository).empty() || *part != "snapshots") return {};
  return hub / repository;
}

bool IsBelow(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

std::vector<std::string> PartsOfModel(const std::string& path) {
  const auto split = ParseSplitName(path);
  if (!split) return {path};
  std::vector<std::string> parts;
  for (uint32_t part = 1; part <= split->parts; ++part) parts.push_back(split->PathOf(part));
  return parts;
}

Status RemovalFailed(const fs::path& path, const std::error_code& error) {
  return Status(Code::kIo, fmt::format("{}: cannot remove it: {}", NameAsText(path.string()), error.message()));
}

// Empty folders in `folder`, and itself if it is one then. What cannot be looked at stays.
void RemoveEmptyFolders(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> inner;
  for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end; it.increment(ignored)) {
    if (it->symlink_status(ignored).type() == fs::file_type::directory) inner.push_back(it->path());
  }
  for (const fs::path& each : inner) RemoveEmptyFolders(each);
  fs::remove(folder, ignored);  // only where it is empty
}

}  // namespace

bool IsInHub(const std::string& hub_folder, const std::string& path) { return !RepositoryOf(hub_folder, path).empty(); }

Result<uint64_t> RemoveHubModel(const std::string& hub_folder, const std::string& path) {
  const fs::path repository = RepositoryOf(hub_folder, path);
  const Status elsewhere(Code::kPermission,
                         fmt::format("{} is not in {}, into which headrace pull fetches models; remove it where it is",
                                     NameAsText(path), NameAsText(hub_folder)));
  if (repository.empty()) return elsewhere;
  std::error_code error;
  const fs::path real = fs::canonical(repository, error);
  if (error) return RemovalFailed(repository, error);
  // The files themselves: in the cache names are links.
  std::set<fs::path> files;
  uint64_t bytes = 0;
  for (const std::string& part : PartsOfModel(path)) {
    const fs::path file = fs::canonical(part, error);
    if (error) continue;  // a part that is missing
    if (!IsBelow(file, real) || !fs::is_regular_file(file, error)) return elsewhere;
    if (files.insert(file).second) bytes += fs::file_size(file, error);
  }
  if (files.empty()) return Status(Code::kNotFound, fmt::format("{}: there is no such file", NameAsText(path)));
  std::vector<fs::path> names;
  fs::recursive_directory_iterator it(real / "snapshots", error), end;
  for (; !error && it != end; it.increment(error)) {
    std::error_code dangling;
    if (files.contains(fs::canonical(it->path(), dangling)) && !dangling) names.push_back(it->path());
  }
  if (error) return RemovalFailed(real / "snapshots", error);
  // The names first: a model that has none is not offered.
  for (const fs::path& name : names) {
    if (!fs::remove(name, error) && error) return RemovalFailed(name, error);
  }
  // Where a file system knows no links the names were the files.
  for (const fs::path& file : files) {
    if (!fs::remove(file, error) && error) return RemovalFailed(file, error);
  }
  RemoveEmptyFolders(real / "snapshots");
  RemoveEmptyFolders(real / "blobs");
  if (!fs::exists(real / "snapshots", error) && !fs::exists(real / "blobs", error)) {
    fs::remove(real / "refs" / "main", error);
    RemoveEmptyFolders(real);
  }
  return bytes;
}

}  // namespace headrace
