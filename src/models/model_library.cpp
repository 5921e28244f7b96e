#include "models/model_library.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/split_name.h"
#include "gguf/catalogue.h"
#include "models/model_names.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kRankPooling = 4;   // LLAMA_POOLING_TYPE_RANK
constexpr uint32_t kMostParts = 4096;  // that are looked at for changes

std::vector<FileStamp> StampsOf(const std::string& path) {
  std::vector<std::string> paths{path};
  const auto split = ParseSplitName(path);
  for (uint32_t part = 2; split && part <= std::min(split->parts, kMostParts); ++part)
    paths.push_back(split->PathOf(part));
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

}  // namespace

const char* ToString(ModelKind kind) {
  switch (kind) {
    case ModelKind::kText:
      return "text";
    case ModelKind::kEmbedding:
      return "embedding";
    case ModelKind::kReranker:
      return "reranker";
    case ModelKind::kProjector:
      return "projector";
  }
  return "";
}

Status ModelLibrary::CheckFolder(const std::string& folder) {
  std::error_code error;
  if (!fs::exists(folder, error))
    return Status(Code::kNotFound, fmt::format("{}: no such folder; name one that holds GGUF files", folder));
  const fs::directory_iterator probe(folder, error);
  if (error)
    return Status(Code::kInvalidArgument,
                  fmt::format("{}: {}; name a folder that can be read", folder, error.message()));
  return {};
}

ModelLibrary::ModelLibrary(std::vector<ModelPlace> places, std::vector<std::string> files)
    : places_(std::move(places)), files_(std::move(files)) {}

ModelEntry ModelLibrary::Describe(const ModelFile& file) {
  // Before the file is read: a change meanwhile counts as one afterwards.
  auto stamps = StampsOf(file.path);
  const auto known = known_.find(file.path);
  if (known != known_.end() && known->second.stamps == stamps) {
    ModelEntry entry = known->second;
    static_cast<ModelFile&>(entry) = file;
    return entry;
  }
  ModelEntry entry{file};
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
  for (const ModelFile& file : FindModelFiles(places_, files_)) entries.push_back(Describe(file));
  FindProjectors(entries);
  return entries;
}

Result<ModelEntry> ModelLibrary::Find(const std::string& name, const char* what) {
  const auto file = FindByName(FindModelFiles(places_, files_), name, {what, "GET /v1/models lists what there is"});
  if (!file.ok()) return file.status();
  const std::lock_guard lock(mutex_);
  return Describe(*file);
}

void ModelLibrary::FindProjectors(std::vector<ModelEntry>& entries) const {
  std::map<fs::path, std::string> alone;  // by folder; "" where there are several
  for (const ModelEntry& entry : entries) {
    if (entry.kind != ModelKind::kProjector) continue;
    const auto [it, first] = alone.emplace(fs::path(entry.path).parent_path(), entry.path);
    if (!first) it->second.clear();
  }
  // Of many models in one folder nobody knows which it belongs to.
  std::error_code error;
  std::erase_if(alone, [&](const auto& found) {
    return std::any_of(places_.begin(), places_.end(),
                       [&](const ModelPlace& place) { return fs::equivalent(found.first, place.folder, error); });
  });
  for (ModelEntry& entry : entries) {
    const auto beside = alone.find(fs::path(entry.path).parent_path());
    if (beside != alone.end() && entry.kind != ModelKind::kProjector) entry.projector = beside->second;
  }
}

std::string ModelLibrary::ProjectorBeside(const ModelEntry& model) {
  for (const ModelEntry& entry : Scan()) {
    if (entry.path == model.path) return entry.projector;
  }
  return "";
}

bool Answers(const ModelEntry& entry) { return entry.kind != ModelKind::kProjector && entry.error.empty(); }

}  // namespace headrace
