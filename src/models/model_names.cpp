#include "models/model_names.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/letters.h"
#include "models/file_names.h"
#include "models/nearest_names.h"

namespace headrace {
namespace {

constexpr std::string_view kHubMark = "hf:";
constexpr size_t kMostIds = 12;

using Matches = std::function<bool(const ModelFile&)>;

std::string Ids(const std::vector<const ModelFile*>& models) {
  std::vector<std::string> ids;
  for (size_t i = 0; i < std::min(models.size(), kMostIds); ++i) ids.push_back(models[i]->id);
  return fmt::format("{}{}", fmt::join(ids, ", "),
                     models.size() > kMostIds ? fmt::format(" and {} more", models.size() - kMostIds) : "");
}

// "owner/name:quantization" in parts. The quantization is "" without a colon.
struct TaggedName {
  std::string owner, name, tag;
};

TaggedName SplitTagged(const std::string& text) {
  const std::string all = Lowered(text);
  const size_t slash = all.rfind('/'), colon = all.rfind(':');
  const size_t begin = slash == std::string::npos ? 0 : slash + 1;
  if (colon == std::string::npos || colon < begin) return {};
  std::string name = all.substr(begin, colon - begin);
  if (name.ends_with("-gguf")) name.resize(name.size() - 5);
  return {all.substr(0, begin), name, all.substr(colon + 1)};
}

bool MeansTagged(const ModelFile& model, const TaggedName& tagged) {
  if (tagged.name.empty() || tagged.tag.empty()) return false;
  const std::string id = Lowered(model.id), last = LastName(id);
  const std::string ways[] = {tagged.name + "-" + tagged.tag, tagged.name + "." + tagged.tag,
                              tagged.name + ":" + tagged.tag, tagged.name + "-gguf:" + tagged.tag};
  if (std::find(std::begin(ways), std::end(ways), last) == std::end(ways)) return false;
  return tagged.owner.empty() || id.find('/') == std::string::npos || id.starts_with(tagged.owner);
}

}  // namespace

std::string WithoutLatest(const std::string& name) {
  constexpr std::string_view kLatest = ":latest";
  return EndsIgnoringCase(name, kLatest) ? name.substr(0, name.size() - kLatest.size()) : name;
}

Result<ModelFile> FindByName(const std::vector<ModelFile>& models, const std::string& given, const NameRules& rules) {
  const std::string name = given.starts_with(kHubMark) ? given.substr(kHubMark.size()) : given, stem = ModelStem(name);
  const TaggedName tagged = SplitTagged(name);
  const auto has_other = [&](const ModelFile& model, const auto& same) {
    return std::any_of(model.other_names.begin(), model.other_names.end(),
                       [&](const std::string& other) { return same(other, name) || same(other, stem); });
  };
  const Matches tiers[] = {[&](const ModelFile& model) { return model.id == name; },
                           [&](const ModelFile& model) { return model.id == stem; },
                           [&](const ModelFile& model) { return has_other(model, std::equal_to<>()); },
                           [&](const ModelFile& model) { return LastName(model.id) == stem; },
                           [&](const ModelFile& model) {
                             return EqualIgnoringCase(model.id, name) || EqualIgnoringCase(LastName(model.id), stem) ||
                                    has_other(model, EqualIgnoringCase);
                           },
                           [&](const ModelFile& model) { return MeansTagged(model, tagged); }};
  for (const Matches& matches : tiers) {
    std::vector<const ModelFile*> found;
    for (const ModelFile& model : models) {
      if (!name.empty() && matches(model)) found.push_back(&model);
    }
    if (found.size() == 1) return *found.front();
    if (!found.empty())
      return Status(Code::kInvalidArgument, fmt::format("{} is the name of several models: {}; write one of these",
                                                        NameAsText(given), Ids(found)));
  }
  if (const std::string plain = WithoutLatest(name); plain != name && !plain.empty()) {
    auto found = FindByName(models, plain, rules);
    if (found.ok() || found.status().code() != Code::kNotFound) return found;
  }
  std::vector<std::string> ids;
  for (const ModelFile& model : models) ids.push_back(model.id);
  return Status(Code::kNotFound, fmt::format("there is no {} {}{}; {}", rules.what, NameAsText(given),
                                             NearestText(name, ids), rules.list));
}

}  // namespace headrace
