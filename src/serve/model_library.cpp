#include "serve/model_library.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "gguf/catalogue.h"
#include "gguf/split.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;
constexpr int kDepth = 6;              // of folders in the folder
constexpr uint64_t kRankPooling = 4;   // LLAMA_POOLING_TYPE_RANK

std::string WithoutSuffix(std::string path) {
  if (const auto split = ParseSplitName(path)) return split->prefix;
  if (path.ends_with(".gguf")) path.resize(path.size() - 5);
  return path;
}

// A model is known by its first part.
bool IsLaterPart(const std::string& path) {
  const auto split = ParseSplitName(path);
  return split && split->part != 1;
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

ModelEntry ModelLibrary::Describe(const std::string& id, const std::string& path) {
  struct stat info {};
  const bool exists = stat(path.c_str(), &info) == 0;
  if (const auto it = known_.find(path); it != known_.end() && exists && it->second.error.empty() &&
                                         it->second.modified == info.st_mtime && it->second.id == id) {
    return it->second;
  }
  ModelEntry entry;
  entry.id = id;
  entry.path = path;
  entry.modified = exists ? info.st_mtime : 0;
  const auto catalogue = ReadCatalogue(path);
  if (!catalogue.ok()) {
    entry.error = catalogue.status().message();
    entry.files = 1;
    entry.size_bytes = exists ? static_cast<uint64_t>(info.st_size) : 0;
    return entry;
  }
  entry.files = catalogue->files.size();
  for (const CatalogueFile& file : catalogue->files) entry.size_bytes += file.bytes;
  entry.architecture = catalogue->architecture;
  entry.name = catalogue->name;
  entry.quantization = catalogue->dominant_type();
  entry.parameters = catalogue->parameters();
  entry.context_length = catalogue->context_length;
  entry.weight_bytes = catalogue->weight_bytes();
  entry.has_pooling = catalogue->pooling > 0;
  entry.kind = KindOf(*catalogue);
  known_[path] = entry;
  return entry;
}

std::vector<ModelEntry> ModelLibrary::Scan() {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> paths;   // by id
  std::error_code error;
  for (const std::string& file : files_) {
    const std::string path = fs::absolute(file, error).lexically_normal().string();
    const auto split = ParseSplitName(path);
    paths.emplace(WithoutSuffix(FileName(path)), split ? split->PathOf(1) : path);
  }
  if (!folder_.empty()) {
    const fs::path root = fs::absolute(folder_, error).lexically_normal();
    fs::recursive_directory_iterator it(root, fs::directory_options::skip_permission_denied, error), end;
    for (; !error && it != end; it.increment(error)) {
      if (it.depth() >= kDepth) it.disable_recursion_pending();
      std::error_code ignored;
      const std::string path = it->path().string();
      if (!path.ends_with(".gguf") || IsLaterPart(path) || !it->is_regular_file(ignored)) continue;
      const bool named = std::any_of(paths.begin(), paths.end(), [&](const auto& known) { return known.second == path; });
      if (!named) paths.emplace(WithoutSuffix(it->path().lexically_relative(root).string()), path);
    }
  }
  std::vector<ModelEntry> entries;
  for (const auto& [id, path] : paths) entries.push_back(Describe(id, path));
  return entries;
}

std::optional<ModelEntry> ModelLibrary::Find(const std::string& name) {
  const std::vector<ModelEntry> entries = Scan();
  for (const ModelEntry& entry : entries) {
    if (entry.id == name) return entry;
  }
  const std::string wanted = WithoutSuffix(name);
  const ModelEntry* found = nullptr;
  for (const ModelEntry& entry : entries) {
    if (entry.id == wanted) return entry;
    if (FileName(entry.id) != wanted) continue;
    if (found != nullptr) return std::nullopt;
    found = &entry;
  }
  return found == nullptr ? std::nullopt : std::optional(*found);
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
