#include "serve/model_library.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

#include <fmt/format.h>

#include "base/split_name.h"
#include "gguf/catalogue.h"
#include "serve/http.h"
#include "serve/nearest_names.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kRankPooling = 4;   // LLAMA_POOLING_TYPE_RANK
constexpr uint32_t kMostParts = 4096;  // that are looked at for changes
constexpr std::string_view kSuffix = ".gguf";

std::string WithoutSuffix(std::string path) {
  if (const auto split = ParseSplitName(path)) return split->prefix;
  const size_t rest = path.size() - std::min(path.size(), kSuffix.size());
  if (EqualIgnoringCase(std::string_view(path).substr(rest), kSuffix)) path.resize(rest);
  return path;
}

std::vector<FileStamp> StampsOf(const std::string& path) {
  std::vector<std::string> paths{path};
  const auto split = ParseSplitName(path);
  for (uint32_t part = 2; split && part <= std::min(split->parts, kMostParts); ++part) paths.push_back(split->PathOf(part));
  std::vector<FileStamp> stamps;
  for (const std::string& each : paths) {
    if (const auto stamp = StampOf(each)) stamps.push_back(*stamp);
  }
  return stamps;
}

ModelKind KindOf(const Catalogue& catalogue) {
  if (catalogue.architecture == "clip") return ModelKind::kProjector;
  if (catalogue.pooling == kRankPooling) return ModelKind::kReranker;
  return catalogue.pooling > 0 ? ModelKind::kEmbedding : ModelKind::kText;
}

std::string FileName(const std::string& path) { return fs::path(path).filename().string(); }

}  // namespace

const char* ToString(ModelKind kind) {
  switch (kind) {
    case ModelKind::kText: return "text";
    case ModelKind::kEmbedding: return "embedding";
    case ModelKind::kReranker: return "reranker";
    case ModelKind::kProjector: return "projector";
  }
  return "";
}

Status ModelLibrary::CheckFolder(const std::string& folder) {
  if (folder.empty()) return {};
  std::error_code error;
  if (!fs::exists(folder, error)) return Status(Code::kNotFound, fmt::format("{}: no such folder; name one that holds GGUF files", folder));
  const fs::directory_iterator probe(folder, error);
  if (error) return Status(Code::kInvalidArgument, fmt::format("{}: {}; name a folder that can be read", folder, error.message()));
  return {};
}

ModelLibrary::ModelLibrary(std::string folder, std::vector<std::string> files) : folder_(std::move(folder)), files_(std::move(files)) {}

ModelEntry ModelLibrary::Describe(const ModelFile& file) {
  // Before the file is read: a change meanwhile counts as one afterwards.
  auto stamps = StampsOf(file.path);
  const auto known = known_.find(file.path);
  if (known != known_.end() && known->second.stamps == stamps) {
    ModelEntry entry = known->second;
    entry.id = file.id;
    entry.other_names = file.other_names;
    return entry;
  }
  ModelEntry entry;
  entry.id = file.id;
  entry.path = file.path;
  entry.other_names = file.other_names;
  entry.stamps = std::move(stamps);
  entry.modified = entry.stamps.empty() ? 0 : entry.stamps.front().modified_ns / 1'000'000'000;
  const auto catalogue = ReadCatalogue(file.path);
  if (!catalogue.ok()) {
    entry.error = catalogue.status().message();
    entry.files = 1;
    entry.size_bytes = entry.stamps.empty() ? 0 : entry.stamps.front().size;
    return entry;
  }
  entry.files = catalogue->files.size();
  for (const CatalogueFile& part : catalogue->files) entry.size_bytes += part.bytes;
  entry.architecture = catalogue->architecture;
  entry.name = catalogue->name;
  entry.quantization = catalogue->dominant_type();
  entry.parameters = catalogue->parameters();
  entry.context_length = catalogue->context_length;
  entry.weight_bytes = catalogue->weight_bytes();
  entry.has_pooling = catalogue->pooling > 0;
  entry.kind = KindOf(*catalogue);
  known_[file.path] = entry;
  return entry;
}

std::vector<ModelEntry> ModelLibrary::Scan() {
  const std::lock_guard lock(mutex_);
  std::vector<ModelEntry> entries;
  for (const ModelFile& file : FindModelFiles(folder_, files_)) entries.push_back(Describe(file));
  return entries;
}

Result<ModelEntry> ModelLibrary::Find(const std::string& name, const char* what) {
  const std::vector<ModelEntry> entries = Scan();
  const auto find = [&](const auto& matches) { return std::find_if(entries.begin(), entries.end(), matches); };
  auto found = find([&](const ModelEntry& entry) { return entry.id == name; });
  const std::string wanted = WithoutSuffix(name);
  if (found == entries.end()) found = find([&](const ModelEntry& entry) { return entry.id == wanted; });
  if (found == entries.end()) {
    found = find([&](const ModelEntry& entry) {
      const auto& others = entry.other_names;
      return std::any_of(others.begin(), others.end(), [&](const std::string& other) { return other == name || other == wanted; });
    });
  }
  if (found != entries.end()) return *found;
  std::vector<std::string> ids, same;
  const ModelEntry* only = nullptr;
  for (const ModelEntry& entry : entries) {
    ids.push_back(entry.id);
    if (FileName(entry.id) != wanted) continue;
    same.push_back(entry.id);
    only = &entry;
  }
  if (same.size() == 1) return *only;
  return Status(Code::kNotFound, fmt::format("there is no {} {}{}; GET /v1/models lists what there is", what, name, NearestText(name, same.empty() ? ids : same)));
}

std::string ModelLibrary::ProjectorBeside(const ModelEntry& model) {
  std::error_code error;
  const fs::path beside = fs::path(model.path).parent_path();
  if (folder_.empty() || fs::equivalent(beside, folder_, error)) return "";
  std::string path;
  for (const ModelEntry& entry : Scan()) {
    if (entry.kind != ModelKind::kProjector || fs::path(entry.path).parent_path() != beside) continue;
    if (!path.empty()) return "";
    path = entry.path;
  }
  return path;
}

}  // namespace headrace::serve
