#include "models/folder_walk.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "base/small_file.h"
#include "base/split_name.h"
#include "models/file_names.h"
#include "models/hub_names.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;
constexpr size_t kDepth = 6;  // of folders in the folder, and in a version of a repository
constexpr size_t kCommitDigits = 40, kShownDigits = 8;
constexpr uint64_t kLargestReference = 4096;

std::vector<std::string> EntriesOf(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    entries.push_back(it->path().filename().string());
  std::sort(entries.begin(), entries.end());
  return entries;
}

// Folders that the kernel makes up: they hold no models, and links from each process to all of the machine.
bool IsMadeUp(const std::string& folder) {
  struct statfs system {};
  return statfs(folder.c_str(), &system) == 0 &&
         (system.f_type == PROC_SUPER_MAGIC || system.f_type == SYSFS_MAGIC || system.f_type == DEBUGFS_MAGIC);
}

// A repository of the hub, of which one version is being looked at.
struct Repository {
  std::string name;  // "USER/NAME", "" outside of one
  std::string commit;
  size_t later = 0;
};

class Walk {
 public:
  explicit Walk(std::string root) : root_(std::move(root)), folder_name_(LastName(root_)) {}

  std::vector<Way> Run() {
    // Links to the folders around it would begin anew.
    for (fs::path around = fs::path(root_).parent_path(); !around.empty(); around = around.parent_path()) {
      if (around == root_) break;  // "/" is around itself
      if (const auto identity = FileInodeOf(around.string())) seen_.insert(*identity);
      if (around == around.parent_path()) break;
    }
    Look(root_, "", 0);
    while (!links_.empty()) {
      const auto link = *links_.begin();
      links_.erase(links_.begin());
      repository_ = {};
      Look(std::get<2>(link), std::get<1>(link), std::get<0>(link));
    }
    return std::move(found_);
  }

 private:
  // `name`: of the folder in the root, with a slash behind it; in a repository of the folder there.
  void Look(const std::string& folder, const std::string& name, size_t depth) {
    const auto identity = FileInodeOf(folder);
    if (!identity || !seen_.insert(*identity).second || IsMadeUp(folder)) return;
    if (const std::string repository = HubRepositoryOf(LastName(folder));
        !repository.empty() && repository_.name.empty() && LookIntoRepository(folder, repository))
      return;
    for (const std::string& entry : EntriesOf(folder)) {
      const std::string path = (folder == "/" ? "" : folder) + "/" + entry;
      struct stat itself {
      }, target{};
      if (lstat(path.c_str(), &itself) != 0 || stat(path.c_str(), &target) != 0) continue;
      const bool link = S_ISLNK(itself.st_mode);
      if (S_ISREG(target.st_mode) && IsModelFileName(entry))
        Add(path, name + entry, link, {target.st_dev, target.st_ino});
      if (!S_ISDIR(target.st_mode) || depth == kDepth) continue;
      if (link && repository_.name.empty()) {
        links_.emplace(depth + 1, name + entry + "/", path);
      } else {
        Look(path, name + entry + "/", depth + 1);
      }
    }
  }

  bool LookIntoRepository(const std::string& folder, const std::string& name) {
    std::vector<std::string> commits = EntriesOf(folder + "/snapshots");
    if (commits.empty()) return false;
    const std::string first = HubCommit(folder);
    std::stable_partition(commits.begin(), commits.end(), [&](const std::string& commit) { return commit == first; });
    for (size_t i = 0; i < commits.size(); ++i) {
      repository_ = {name, commits[i], i};
      Look(folder + "/snapshots/" + commits[i], "", 0);
    }
    repository_ = {};
    return true;
  }

  void Add(const std::string& path, const std::string& name, bool link, FileInode file) {
    Way way;
    way.path = path;
    way.link = link;
    way.inode = file;
    const std::string stem = ModelStem(name);
    if (repository_.name.empty()) {
      way.name = name;
      way.short_name = stem;
      if (ParseSplitName(name)) way.longer.push_back(WithoutModelSuffix(name));
      if (!name.ends_with(".gguf")) way.longer.push_back(name);
      way.longer.push_back(folder_name_ + "/" + stem);
    } else {
      way.name = repository_.name + "/" + name;
      way.later = repository_.later;
      const std::string whole = repository_.name + "/" + stem,
                        quantization = IsBesideModel(name) ? "" : QuantizationIn(name);
      way.short_name = quantization.empty() ? whole : repository_.name + ":" + quantization;
      way.longer = {whole, fmt::format("{}@{}/{}", repository_.name, repository_.commit.substr(0, kShownDigits), stem)};
      way.others = {whole, LastName(stem)};
      if (!IsBesideModel(name)) {
        way.others.push_back(repository_.name);
        way.others.push_back(LastName(repository_.name));
        if (!quantization.empty()) way.others.push_back(LastName(repository_.name) + ":" + quantization);
      }
    }
    way.longer.push_back(path);
    found_.push_back(std::move(way));
  }

  const std::string root_, folder_name_;
  Repository repository_;
  std::vector<Way> found_;
  std::set<FileInode> seen_;                                      // folders
  std::set<std::tuple<size_t, std::string, std::string>> links_;  // to folders: depth, name, path
};

}  // namespace

std::optional<FileInode> FileInodeOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileInode{info.st_dev, info.st_ino};
}

std::vector<Way> WalkFolder(const std::string& folder) {
  std::error_code error;
  fs::path root = fs::absolute(folder, error).lexically_normal();
  if (!root.has_filename()) root = root.parent_path();
  return Walk(root.string()).Run();
}

std::string HubCommit(const std::string& repository_folder) {
  std::string other;
  const std::string references = repository_folder + "/refs";
  for (const std::string& name : EntriesOf(references)) {
    const auto text = ReadSmallFile(references + "/" + name, kLargestReference);
    if (!text.ok()) continue;
    const std::string commit = text->substr(0, text->find('\n'));
    const bool whole = commit.size() == kCommitDigits &&
                       std::all_of(commit.begin(), commit.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
    if (!whole) continue;
    if (name == "main") return commit;
    if (other.empty()) other = commit;
  }
  return other;
}

}  // namespace headrace
