#include "memory/cgroup.h"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <vector>

namespace headrace {
namespace {

// A mounted hierarchy that can hold memory limits.
struct Hierarchy {
  int version = 0;
  std::string root;  // the group that the mount point shows
  std::string mount;
};

bool HasWord(const std::string& list, const std::string& word) {
  std::stringstream stream(list);
  for (std::string item; std::getline(stream, item, ',');) {
    if (item == word) return true;
  }
  return false;
}

// Mount points escape blanks as \040.
std::string Unescape(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(&text[i + 1], &text[i + 4], code, 8).ptr == &text[i + 4]) {
      result += static_cast<char>(code);
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::vector<Hierarchy> ParseMountinfo(const std::string& text) {
  std::vector<Hierarchy> found;
  std::stringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::stringstream head(line.substr(0, dash));
    std::stringstream tail(line.substr(dash + 3));
    std::string id, parent, device, root, mount, type, source, options;
    if (!(head >> id >> parent >> device >> root >> mount) || !(tail >> type >> source)) continue;
    tail >> options;
    if (type == "cgroup2") found.push_back({2, Unescape(root), Unescape(mount)});
    if (type == "cgroup" && HasWord(options, "memory")) found.push_back({1, Unescape(root), Unescape(mount)});
  }
  return found;
}

// The group of this process in a hierarchy of `version`, "" when it is in none.
std::string ParseGroup(const std::string& text, int version) {
  std::stringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (version == 2 ? controllers.empty() : HasWord(controllers, "memory")) return line.substr(second + 1);
  }
  return "";
}

// A number of a one-number file; nullopt for "max" and for version 1's "no limit", a number near 2^63.
std::optional<uint64_t> ReadBytes(const ReadText& read, const std::string& path) {
  const auto text = read(path);
  if (!text) return std::nullopt;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || value >= (uint64_t{1} << 60)) return std::nullopt;
  return value;
}

uint64_t PageCache(const ReadText& read, const Cgroup& group) {
  const auto text = read(group.directory + "/memory.stat");
  if (!text) return 0;
  // Version 1 counts the group's children only in the total_ lines.
  const std::string prefix = group.version == 1 ? "total_" : "";
  uint64_t bytes = 0;
  std::stringstream lines(*text);
  std::string name;
  for (uint64_t value = 0; lines >> name >> value;) {
    if (name == prefix + "active_file" || name == prefix + "inactive_file") bytes += value;
  }
  return bytes;
}

std::optional<uint64_t> ReadLimit(const ReadText& read, const Cgroup& group) {
  if (group.version == 1) return ReadBytes(read, group.directory + "/memory.limit_in_bytes");
  const auto limit = ReadBytes(read, group.directory + "/memory.max");
  // Above memory.high the kernel does not kill but slows the group down until it is below.
  const auto high = ReadBytes(read, group.directory + "/memory.high");
  return limit && high ? std::min(*limit, *high) : limit ? limit : high;
}

uint64_t ReadUsed(const ReadText& read, const Cgroup& group) {
  return ReadBytes(read, group.directory + (group.version == 2 ? "/memory.current" : "/memory.usage_in_bytes"))
      .value_or(0);
}

}  // namespace

std::vector<Cgroup> FindCgroups(const ReadText& read) {
  std::vector<Cgroup> found;
  const auto groups = read("/proc/self/cgroup");
  const auto mounts = read("/proc/self/mountinfo");
  if (!groups || !mounts) return found;
  for (const Hierarchy& hierarchy : ParseMountinfo(*mounts)) {
    std::string group = ParseGroup(*groups, hierarchy.version);
    // In a container the mount may show a group below the real root.
    if (hierarchy.root != "/" && group.starts_with(hierarchy.root)) group.erase(0, hierarchy.root.size());
    while (!group.empty() && group.back() == '/') group.pop_back();
    while (true) {
      found.push_back({hierarchy.version, hierarchy.mount + group});
      if (group.empty()) break;
      group.erase(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
    }
  }
  return found;
}

std::optional<CgroupLimit> ReadCgroupLimit(const ReadText& read, const Cgroup& group, bool count_page_cache) {
  const auto limit = ReadLimit(read, group);
  if (!limit) return std::nullopt;
  return CgroupLimit{group.version, group.directory, *limit, ReadUsed(read, group),
                     count_page_cache ? PageCache(read, group) : 0};
}

std::optional<CgroupLimit> FindCgroupLimit(const ReadText& read) {
  std::optional<CgroupLimit> tightest;
  for (const Cgroup& group : FindCgroups(read)) {
    auto limit = ReadCgroupLimit(read, group, true);
    if (limit && (!tightest || limit->available_bytes() < tightest->available_bytes())) tightest = std::move(limit);
  }
  return tightest;
}

}  // namespace headrace
