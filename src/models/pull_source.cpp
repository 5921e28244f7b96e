#include "models/pull_source.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/letters.h"
#include "base/shown.h"
#include "base/split_name.h"
#include "models/file_names.h"
#include "models/http_request.h"
#include "models/hub_names.h"

namespace headrace {
namespace {

constexpr std::string_view kHub = "hf:";
constexpr const char* kProjectorTypes[] = {"F16", "BF16", "Q8_0"};
constexpr size_t kMostNamed = 40;

bool IsModelToFetch(const std::string& path) {
  const auto split = ParseSplitName(path);
  return !IsBesideModel(path) && (!split || split->part == 1);
}

// The names of what there is, for a message.
std::string Choices(const std::vector<HubFile>& models) {
  std::set<std::string> names;
  for (const HubFile& file : models) {
    if (!IsModelToFetch(file.path)) continue;
    const std::string quantization = QuantizationIn(file.path);
    names.insert(quantization.empty() ? file.path : quantization);
    if (names.size() >= kMostNamed) break;
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string ChooseProjector(const std::vector<std::string>& projectors) {
  for (const char* type : kProjectorTypes) {
    const auto found = std::find_if(projectors.begin(), projectors.end(),
                                    [&](const std::string& file) { return QuantizationIn(file) == type; });
    if (found != projectors.end()) return *found;
  }
  return projectors.empty() ? "" : projectors.front();
}

}  // namespace

Result<PullSource> ParsePullSource(const std::string& text) {
  PullSource source;
  if (text.starts_with(kHub)) {
    std::tie(source.repository, source.quantization) = SplitTag(text.substr(kHub.size()));
    if (IsRepositoryName(source.repository)) return source;
    return Status(Code::kInvalidArgument,
                  fmt::format("{} names no repository; write hf:USER/NAME or hf:USER/NAME:QUANTIZATION, for instance "
                              "hf:ggml-org/gemma-3-4b-it-GGUF:Q4_K_M",
                              Shown(text)));
  }
  if (OriginOf(text).empty()) {
    return Status(Code::kInvalidArgument, fmt::format("{} is not something that headrace can fetch; write "
                                                      "hf:USER/NAME[:QUANTIZATION] or https://HOST/PATH/NAME.gguf",
                                                      Shown(text)));
  }
  source.url = text.substr(0, text.find('#'));
  const std::string plain = source.url.substr(0, source.url.find('?'));
  source.file = plain.substr(plain.rfind('/') + 1);
  if (!EndsIgnoringCase(source.file, ".gguf") || !IsSafePath(source.file)) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} is not the address of a GGUF file: its last part must end with .gguf", Shown(text)));
  }
  return source;
}

std::vector<PullSource> PartsOf(const PullSource& address) {
  const auto split = ParseSplitName(address.file);
  if (!split) return {address};
  std::vector<PullSource> parts;
  const size_t at = address.url.substr(0, address.url.find('?')).rfind('/') + 1;
  for (uint32_t part = 1; part <= split->parts; ++part) {
    PullSource one = address;
    one.file = split->PathOf(part);
    one.url.replace(at, address.file.size(), one.file);
    parts.push_back(std::move(one));
  }
  return parts;
}

std::vector<HubModel> ModelsIn(const std::vector<HubFile>& models, const std::string& repository) {
  std::set<std::string> quantizations;
  for (const HubFile& file : models) {
    if (IsModelToFetch(file.path)) quantizations.insert(QuantizationIn(file.path));
  }
  // What has no name of a type is fetched by the repository's alone, where nothing else goes before it.
  if (quantizations.size() > 1) quantizations.erase("");
  std::vector<HubModel> found;
  for (const std::string& quantization : quantizations) {
    PullSource source;
    source.repository = repository;
    source.quantization = quantization;
    const auto chosen = ChooseFiles(models, source, true);
    if (!chosen.ok()) continue;
    HubModel model{std::string(kHub) + repository + (quantization.empty() ? "" : ":" + quantization), quantization};
    model.files = chosen->size();
    for (const HubFile& file : *chosen) model.bytes += file.bytes;
    found.push_back(std::move(model));
  }
  std::sort(found.begin(), found.end(), [](const HubModel& a, const HubModel& b) { return a.bytes < b.bytes; });
  return found;
}

Result<std::vector<HubFile>> ChooseFiles(const std::vector<HubFile>& models, const PullSource& source, bool projector) {
  std::vector<std::string> names;
  for (const HubFile& file : models) names.push_back(file.path);
  const auto find = [&](const std::string& path) {
    return std::find_if(models.begin(), models.end(), [&](const HubFile& file) { return file.path == path; });
  };
  if (names.empty())
    return Status(
        Code::kNotFound,
        fmt::format("{} has no GGUF file; look for one of the same model with GGUF in its name", source.repository));
  const std::string model = ChooseModelFile(names, source.quantization, "");
  if (model.empty()) {
    return Status(
        Code::kNotFound,
        fmt::format("{} has no model{}; there are {}", source.repository,
                    source.quantization.empty() ? "" : " of the type " + Shown(source.quantization), Choices(models)));
  }
  std::vector<HubFile> chosen;
  const auto split = ParseSplitName(model);
  for (uint32_t part = 1; part <= (split ? split->parts : 1); ++part) {
    const std::string path = split ? split->PathOf(part) : model;
    const auto found = find(path);
    if (found == models.end())
      return Status(Code::kNotFound, fmt::format("{} lacks a part of this model: {}", source.repository, path));
    chosen.push_back(*found);
  }
  if (!projector) return chosen;
  const std::string beside = ChooseProjector(ProjectorFiles(names, model));
  if (!beside.empty()) chosen.push_back(*find(beside));
  return chosen;
}

}  // namespace headrace
