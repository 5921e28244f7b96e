#include "serve/model_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "base/split_name.h"
#include "base/utf8.h"
#include "io/source_file.h"
#include "serve/http.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;
constexpr size_t kDepth = 6;   // of folders in the folder
constexpr std::string_view kModelSuffix = ".gguf";

using Identity = std::pair<uint64_t, uint64_t>;   // device, inode

std::optional<Identity> IdentityOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return Identity{info.st_dev, info.st_ino};
}

std::string LastName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

bool IsModelName(const std::string& name) {
  if (name.size() < kModelSuffix.size() || name.starts_with("._")) return false;
  if (!EqualIgnoringCase(std::string_view(name).substr(name.size() - kModelSuffix.size()), kModelSuffix)) return false;
  const auto split = ParseSplitName(name);
  return !split || split->part == 1;   // a model is known by its first part
}

std::string WithoutModelSuffix(const std::string& name) { return name.size() > kModelSuffix.size() ? name.substr(0, name.size() - kModelSuffix.size()) : name; }

// A way by which a model's file was found.
struct Way {
  std::string path;
  std::string name;      // in the folder, or of the file alone
  std::string given;     // as one in `files` names it, "" when none does
  bool link = false;
  Identity file;

  auto Rank() const { return std::tuple(!given.empty(), link, std::count(name.begin(), name.end(), '/'), name); }
  std::string ShortName() const {
    const auto split = ParseSplitName(name);
    return split ? split->prefix : WithoutModelSuffix(name);
  }
  // Those that go before others keep their short names.
  auto Claim() const { return std::tuple(given.empty(), !name.ends_with(kModelSuffix), ParseSplitName(name).has_value(), name, path); }
};

class Walk {
 public:
  explicit Walk(std::vector<Way>& found) : found_(found) {}

  void Run(const fs::path& root) {
    // Links to the folders around it would begin anew.
    for (fs::path around = root.parent_path(); !around.empty(); around = around.parent_path()) {
      if (const auto identity = IdentityOf(around.string())) seen_.insert(*identity);
      if (around == around.parent_path()) break;
    }
    Look(root.string(), "", 0);
    while (!links_.empty()) {
      const auto link = *links_.begin();
      links_.erase(links_.begin());
      Look(std::get<2>(link), std::get<1>(link), std::get<0>(link));
    }
  }

 private:
  // `name`: of the folder in the root, with a slash behind it.
  void Look(const std::string& folder, const std::string& name, size_t depth) {
    const auto identity = IdentityOf(folder);
    if (!identity || !seen_.insert(*identity).second) return;
    std::error_code error;
    std::vector<std::string> entries;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) entries.push_back(it->path().filename().string());
    std::sort(entries.begin(), entries.end());
    for (const std::string& entry : entries) {
      const std::string path = folder + "/" + entry;
      struct stat itself {}, target {};
      if (lstat(path.c_str(), &itself) != 0 || stat(path.c_str(), &target) != 0) continue;
      const bool link = S_ISLNK(itself.st_mode);
      if (S_ISREG(target.st_mode) && IsModelName(entry)) found_.push_back({path, name + entry, "", link, {target.st_dev, target.st_ino}});
      if (!S_ISDIR(target.st_mode) || depth == kDepth) continue;
      if (link) {
        links_.emplace(depth + 1, name + entry + "/", path);
      } else {
        Look(path, name + entry + "/", depth + 1);
      }
    }
  }

  std::vector<Way>& found_;
  std::set<Identity> seen_;                                        // folders
  std::set<std::tuple<size_t, std::string, std::string>> links_;   // to folders: depth, name, path
};

// The ways to each model, the one that names it first.
std::vector<std::vector<Way>> ByModel(std::vector<Way> ways) {
  std::map<Identity, std::vector<Way>> models;
  for (Way& way : ways) models[way.file].push_back(std::move(way));
  std::vector<std::vector<Way>> result;
  for (auto& [unused, group] : models) {
    std::sort(group.begin(), group.end(), [](const Way& a, const Way& b) { return a.Rank() < b.Rank(); });
    result.push_back(std::move(group));
  }
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.front().Claim() < b.front().Claim(); });
  return result;
}

// What one is called whose short name another one has.
std::string LongName(const Way& way, const std::string& folder_name, const std::map<std::string, ModelFile>& taken) {
  std::vector<std::string> names;
  if (ParseSplitName(way.name)) names.push_back(WithoutModelSuffix(way.name));
  if (!way.name.ends_with(kModelSuffix)) names.push_back(way.name);
  names.push_back(folder_name + "/" + way.ShortName());
  names.push_back(way.path);
  for (std::string& name : names) name = NameAsText(name);
  for (size_t i = 2; taken.contains(names.front()); ++i) {
    if (names.size() > 1) {
      names.erase(names.begin());
    } else {
      names.front() = fmt::format("{} {}", NameAsText(way.path), i);
    }
  }
  return names.front();
}

}  // namespace

std::vector<ModelFile> FindModelFiles(const std::string& folder, const std::vector<std::string>& files) {
  std::vector<Way> ways;
  std::error_code error;
  std::string folder_name;
  if (!folder.empty()) {
    fs::path root = fs::absolute(folder, error).lexically_normal();
    if (!root.has_filename()) root = root.parent_path();
    folder_name = root.filename().string();
    Walk(ways).Run(root);
  }
  for (const std::string& file : files) {
    const std::string named = fs::absolute(file, error).lexically_normal().string();
    const auto split = ParseSplitName(named);
    const std::string path = split ? split->PathOf(1) : named;
    // One that is gone is told of when it is read.
    const auto identity = IdentityOf(path);
    ways.push_back({path, LastName(path), named, false, identity.value_or(Identity())});
  }
  std::map<std::string, ModelFile> models;   // by id
  std::vector<const std::vector<Way>*> others;
  const auto add = [&](const std::string& id, const std::vector<Way>& group) {
    ModelFile model{id, group.front().path, {}};
    for (const Way& way : group) {
      if (!way.given.empty()) model.other_names.push_back(way.given);
      if (&way != &group.front()) model.other_names.push_back(NameAsText(way.ShortName()));
    }
    models.emplace(id, std::move(model));
  };
  const auto groups = ByModel(std::move(ways));
  for (const auto& group : groups) {
    const std::string id = NameAsText(group.front().ShortName());
    if (models.contains(id)) {
      others.push_back(&group);
    } else {
      add(id, group);
    }
  }
  for (const auto* group : others) add(LongName(group->front(), folder_name, models), *group);
  std::vector<ModelFile> result;
  for (auto& [unused, model] : models) result.push_back(std::move(model));
  return result;
}

std::string NameAsText(const std::string& name) {
  std::string text;
  for (size_t at = 0; at < name.size();) {
    const size_t length = Utf8Length(std::string_view(name).substr(at));
    const auto first = static_cast<unsigned char>(name[at]);
    // 0x80 to 0x9f, in two bytes, are control characters too.
    const bool control = first < 0x20 || first == 0x7f || (length == 2 && first == 0xc2 && static_cast<unsigned char>(name[at + 1]) < 0xa0);
    if (length > 0 && !control) {
      text += name.substr(at, length);
      at += length;
      continue;
    }
    for (const size_t end = at + std::max<size_t>(1, length); at < end; ++at) text += fmt::format("%{:02X}", static_cast<unsigned char>(name[at]));
  }
  return text;
}

}  // namespace headrace::serve
