#include "models/model_names.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/letters.h"
#include "models/file_names.h"
#include "models/nearest_names.h"

namespace headrace {
namespace {

constexpr std::string_view kHub = "hf:";
constexpr size_t kMostShown = 12;

using Same = std::function<bool(std::string_view, std::string_view)>;

std::string LastName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

bool HasName(const ModelFile& model, const std::string& name, const Same& same) {
  return same(model.id, name) || std::any_of(model.other_names.begin(), model.other_names.end(), [&](const std::string& other) { return same(other, name); });
}

}  // namespace

Result<ModelFile> FindByName(const std::vector<ModelFile>& models, const std::string& given, const NameWords& words) {
  const std::string name = given.starts_with(kHub) ? given.substr(kHub.size()) : given, stem = ModelStem(name);
  for (const std::string& id : {name, stem}) {
    const auto found = std::find_if(models.begin(), models.end(), [&](const ModelFile& model) { return model.id == id; });
    if (found != models.end()) return *found;
  }
  std::vector<std::string> ids;
  for (const ModelFile& model : models) ids.push_back(model.id);
  const Same exactly = std::equal_to<>(), nearly = EqualIgnoringCase;
  for (const Same& same : {exactly, nearly}) {
    std::vector<const ModelFile*> found;
    for (const ModelFile& model : models) {
      if (HasName(model, name, same) || HasName(model, stem, same) || same(LastName(model.id), stem)) found.push_back(&model);
    }
    if (found.size() == 1) return *found.front();
    if (found.empty() || name.empty()) continue;
    std::vector<std::string> candidates;
    for (const ModelFile* model : found) candidates.push_back(model->id);
    const std::string more = candidates.size() > kMostShown ? fmt::format(" and {} more", candidates.size() - kMostShown) : "";
    candidates.resize(std::min(candidates.size(), kMostShown));
    return Status(Code::kInvalidArgument, fmt::format("{} is the name of several models: {}{}; write one of these", NameAsText(given), fmt::join(candidates, ", "), more));
  }
  return Status(Code::kNotFound, fmt::format("there is no {} {}{}; {}", words.what, NameAsText(given), NearestText(name, ids), words.list));
}

}  // namespace headrace
