#include "models/model_files.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "base/split_name.h"
#include "models/file_names.h"
#include "models/folder_walk.h"
#include "models/ollama.h"

namespace headrace {
namespace {

// Which of the ways to a file names it.
auto Rank(const Way& way) {
  return std::tuple(!way.given.empty(), way.link, std::count(way.name.begin(), way.name.end(), '/'), way.place,
                    way.later, way.name);
}

// Those that go before others keep their short names.
auto Claim(const Way& way) {
  return std::tuple(way.given.empty(), way.place, way.later, !way.name.ends_with(".gguf"),
                    ParseSplitName(way.name).has_value(), way.name, way.path);
}

// The ways to each model, the one that names it first.
std::vector<std::vector<Way>> ByModel(std::vector<Way> ways) {
  std::map<FileInode, std::vector<Way>> models;
  for (Way& way : ways) models[way.inode].push_back(std::move(way));
  std::vector<std::vector<Way>> result;
  for (auto& [unused, group] : models) {
    std::sort(group.begin(), group.end(), [](const Way& a, const Way& b) { return Rank(a) < Rank(b); });
    result.push_back(std::move(group));
  }
  std::sort(result.begin(), result.end(),
            [](const auto& a, const auto& b) { return Claim(a.front()) < Claim(b.front()); });
  return result;
}

// What one is called whose short name another one has.
std::string LongName(const Way& way, const std::map<std::string, ModelFile>& taken) {
  for (const std::string& name : way.longer) {
    if (!taken.contains(NameAsText(name))) return NameAsText(name);
  }
  std::string name;
  for (size_t i = 2; name.empty() || taken.contains(name); ++i) name = fmt::format("{} {}", NameAsText(way.path), i);
  return name;
}

ModelFile FileOf(const std::string& id, const std::vector<Way>& group) {
  ModelFile model{id, group.front().path, {}};
  const auto add = [&](const std::string& name) {
    const auto& others = model.other_names;
    if (name != id && std::find(others.begin(), others.end(), name) == others.end()) model.other_names.push_back(name);
  };
  for (const Way& way : group) {
    if (!way.given.empty()) add(way.given);
    if (&way != &group.front()) add(NameAsText(way.short_name));
    for (const std::string& other : way.others) add(NameAsText(other));
  }
  return model;
}

// One that is named itself. One that is gone is told of when it is read.
Way WayOf(const std::string& file, size_t place) {
  std::error_code error;
  Way way;
  way.given = std::filesystem::absolute(file, error).lexically_normal().string();
  const auto split = ParseSplitName(way.given);
  way.path = split ? split->PathOf(1) : way.given;
  way.name = LastName(way.path);
  way.short_name = ModelStem(way.name);
  if (split) way.longer.push_back(WithoutModelSuffix(way.name));
  way.longer.push_back(way.path);
  way.place = place;
  way.inode = FileInodeOf(way.path).value_or(FileInode());
  return way;
}

}  // namespace

std::vector<ModelFile> FindModelFiles(const std::vector<ModelPlace>& places, const std::vector<std::string>& files) {
  std::vector<Way> ways;
  std::set<FileInode> seen;
  for (size_t i = 0; i < places.size(); ++i) {
    const auto identity = FileInodeOf(places[i].folder);
    if (!identity || !seen.insert(*identity).second) continue;
    for (Way& way : places[i].ollama ? OllamaModels(places[i].folder) : WalkFolder(places[i].folder)) {
      way.place = i;
      ways.push_back(std::move(way));
    }
  }
  for (const std::string& file : files) ways.push_back(WayOf(file, places.size()));
  std::map<std::string, ModelFile> models;  // by id
  std::vector<const std::vector<Way>*> others;
  const auto groups = ByModel(std::move(ways));
  for (const auto& group : groups) {
    const std::string id = NameAsText(group.front().short_name);
    if (!models.emplace(id, FileOf(id, group)).second) others.push_back(&group);
  }
  for (const auto* group : others) {
    const std::string id = LongName(group->front(), models);
    models.emplace(id, FileOf(id, *group));
  }
  std::vector<ModelFile> result;
  for (auto& [unused, model] : models) result.push_back(std::move(model));
  return result;
}

}  // namespace headrace
