#include "setup/download_cache.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/json.h"
#include "base/size.h"
#include "base/small_file.h"
#include "models/folder_walk.h"
#include "models/hub_names.h"
#include "models/places.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLargestManifest = kMiB;

bool IsRegularFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

std::string TextOrNone(const fs::path& path, uint64_t most_bytes) {
  auto text = ReadSmallFile(path.string(), most_bytes);
  return text.ok() ? std::move(*text) : "";
}

// In the order of the folder, which is llama.cpp's too; paths are relative.
std::vector<std::string> GgufFiles(const fs::path& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(folder, error); !error && at != fs::recursive_directory_iterator();
       at.increment(error)) {
    if (at->path().extension() == ".gguf" && IsRegularFile(at->path()))
      files.push_back(at->path().lexically_relative(folder).generic_string());
  }
  return files;
}

std::string LargestProjector(const fs::path& folder, const std::vector<std::string>& files, const std::string& model) {
  std::string largest;
  uintmax_t most = 0;
  for (const std::string& file : ProjectorFiles(files, model)) {
    std::error_code error;
    const uintmax_t bytes = fs::file_size(folder / file, error);
    if (error || bytes <= most) continue;
    most = bytes;
    largest = (folder / file).string();
  }
  return largest;
}

}  // namespace

DownloadCache::DownloadCache(const Getenv& getenv) {
  const char* both = getenv("LLAMA_CACHE");
  own_ = LlamaCacheFolder(getenv);
  hub_ = both != nullptr && *both != '\0' ? own_ : HubFolder(getenv);
}

std::string DownloadCache::Snapshot(const std::string& name) const {
  if (hub_.empty() || !IsRepositoryName(name)) return "";
  const fs::path repository = fs::path(hub_) / HubFolderName(name);
  const std::string commit = HubCommit(repository.string());
  return commit.empty() ? "" : (repository / "snapshots" / commit).string();
}

std::optional<CachedModel> DownloadCache::FindInHub(const std::string& name, const std::string& quantization,
                                                    const std::string& file) const {
  const std::string folder = Snapshot(name);
  if (folder.empty()) return std::nullopt;
  const std::vector<std::string> files = GgufFiles(folder);
  const std::string model = ChooseModelFile(files, quantization, file);
  if (model.empty()) return std::nullopt;
  return CachedModel{(fs::path(folder) / model).string(), LargestProjector(folder, files, model)};
}

std::optional<CachedModel> DownloadCache::FindByManifest(const std::string& name, const std::string& quantization,
                                                         const std::string& file) const {
  if (own_.empty() || !IsRepositoryName(name)) return std::nullopt;
  const auto kept = [&](const std::string& in_repository) {
    return FindOwn(Replaced(name + "_" + in_repository, "/", "_"));
  };
  const fs::path path = fs::path(own_) / fmt::format("manifest={}={}.json", Replaced(name, "/", "="),
                                                     quantization.empty() ? "latest" : quantization);
  const Json manifest = JsonOrNull(TextOrNone(path, kLargestManifest));
  const auto named = [&](const char* member) {
    const Json* object = FindMember(manifest, member);
    return object == nullptr ? std::string() : TextOf(*object, "rfilename");
  };
  const auto model = kept(file.empty() ? named("ggufFile") : file);
  if (!model) return std::nullopt;
  const std::string projector = named("mmprojFile");
  return CachedModel{*model, projector.empty() ? "" : kept(projector).value_or("")};
}

std::optional<CachedModel> DownloadCache::FindRepository(const std::string& repository, const std::string& file) const {
  const auto [name, quantization] = SplitTag(repository);
  auto found = FindInHub(name, quantization, file);
  return found ? found : FindByManifest(name, quantization, file);
}

bool DownloadCache::HasPreset(const std::string& repository) const {
  const std::string folder = Snapshot(SplitTag(repository).first);
  return !folder.empty() && IsRegularFile(fs::path(folder) / "preset.ini");
}

std::optional<std::string> DownloadCache::FindOwn(const std::string& file_name) const {
  if (own_.empty() || file_name.empty() || file_name.find('/') != std::string::npos) return std::nullopt;
  const fs::path path = fs::path(own_) / file_name;
  return IsRegularFile(path) ? std::optional(path.string()) : std::nullopt;
}

std::optional<std::string> DownloadCache::FindUrl(const std::string& url) const {
  const std::string plain = url.substr(0, url.find_first_of("#?"));
  return FindOwn(plain.substr(plain.rfind('/') + 1));
}

std::optional<std::string> DownloadCache::FindDockerModel(const std::string& name) const {
  const size_t colon = name.find(':');
  std::string repository = name.substr(0, colon);
  if (repository.find('/') == std::string::npos) repository = "ai/" + repository;
  return FindOwn(fmt::format("{}_{}.gguf", Replaced(repository, "/", "_"),
                             colon == std::string::npos ? "latest" : name.substr(colon + 1)));
}

}  // namespace headrace::cli
