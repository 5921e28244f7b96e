#include "cli/download_cache.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iterator>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/size.h"
#include "base/small_file.h"
#include "base/split_name.h"
#include "cli/json.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kCommitDigits = 40;
constexpr uint64_t kLargestManifest = kMiB, kLargestReference = 4 * kKiB;
constexpr const char* kUsualQuantizations[] = {"Q4_K_M", "Q8_0"};
// In names of files that are no model of their own.
constexpr std::string_view kBesideModels[] = {"mmproj", "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-"};

std::string Lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool IsRegularFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

std::string TextOrNone(const fs::path& path, uint64_t most_bytes) {
  auto text = ReadSmallFile(path.string(), most_bytes);
  return text.ok() ? std::move(*text) : "";
}

// "USER/NAME", which becomes a part of a path.
bool IsName(const std::string& name) {
  const auto is_base = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  bool after_base = false;
  for (const char c : name) {
    const bool base = is_base(static_cast<unsigned char>(c));
    if (!base && (!after_base || (c != '/' && c != '.' && c != '-'))) return false;
    after_base = base;
  }
  return after_base && std::count(name.begin(), name.end(), '/') == 1;
}

std::pair<std::string, std::string> SplitTag(const std::string& repository) {
  const size_t first = repository.find(':'), last = repository.rfind(':');
  if (first == std::string::npos) return {repository, ""};
  return {repository.substr(0, first), repository.substr(last + 1)};
}

std::string Replaced(std::string text, std::string_view what, std::string_view with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) text.replace(at, what.size(), with);
  return text;
}

// The commit in refs/main, else in any other.
std::string Commit(const fs::path& repository) {
  std::string other;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(repository / "refs", error)) {
    const std::string text = TextOrNone(entry.path(), kLargestReference);
    const std::string commit = text.substr(0, text.find('\n'));
    const bool whole = commit.size() == kCommitDigits && std::all_of(commit.begin(), commit.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
    if (!whole) continue;
    if (entry.path().filename() == "main") return commit;
    if (other.empty()) other = commit;
  }
  return other;
}

// In the order of the folder, which is llama.cpp's too; paths are relative.
std::vector<std::string> GgufFiles(const fs::path& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(folder, error); !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at->path().extension() == ".gguf" && IsRegularFile(at->path())) files.push_back(at->path().lexically_relative(folder).generic_string());
  }
  return files;
}

// By llama.cpp's rule, which takes the numbers as they stand.
bool IsLaterPart(const std::string& file) {
  const auto name = ParseSplitNumbers(file);
  return name && name->parts > 1 && name->part != 1;
}

bool IsModel(const std::string& file) {
  const std::string name = fs::path(file).filename().string();
  return !IsLaterPart(file) && std::none_of(std::begin(kBesideModels), std::end(kBesideModels), [&](std::string_view part) { return name.find(part) != std::string::npos; });
}

bool HasQuantization(const std::string& file, const std::string& quantization) {
  const std::string name = Lowered(file), part = Lowered(quantization);
  for (size_t at = 0; (at = name.find(part, at)) != std::string::npos; ++at) {
    const size_t end = at + part.size();
    if (end < name.size() && (name[end] == '.' || name[end] == '-')) return true;
  }
  return false;
}

std::string ChooseModel(const std::vector<std::string>& files, const std::string& quantization, const std::string& file) {
  const auto find = [&](const auto& holds) {
    const auto found = std::find_if(files.begin(), files.end(), holds);
    return found == files.end() ? std::string() : *found;
  };
  if (!file.empty()) return find([&](const std::string& candidate) { return Lowered(candidate) == Lowered(file); });
  if (!quantization.empty()) return find([&](const std::string& candidate) { return IsModel(candidate) && HasQuantization(candidate, quantization); });
  for (const char* usual : kUsualQuantizations) {
    const std::string found = find([&](const std::string& candidate) { return IsModel(candidate) && HasQuantization(candidate, usual); });
    if (!found.empty()) return found;
  }
  return find(IsModel);
}

// In the model's folder or one around it.
std::string LargestProjector(const fs::path& folder, const std::vector<std::string>& files, const std::string& model) {
  std::string largest;
  uintmax_t most = 0;
  for (const std::string& file : files) {
    const std::string around = fs::path(file).parent_path().generic_string();
    if (file.find("mmproj") == std::string::npos || !(around.empty() || model.starts_with(around + "/"))) continue;
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
  const auto folder = [&](const char* variable, const char* below) -> std::string {
    const char* value = getenv(variable);
    return value == nullptr || *value == '\0' ? "" : (fs::path(value) / below).lexically_normal().string();
  };
  const auto first = [](std::initializer_list<std::string> folders) {
    const auto found = std::find_if(folders.begin(), folders.end(), [](const std::string& path) { return !path.empty(); });
    return found == folders.end() ? std::string() : *found;
  };
  hub_ = first({folder("LLAMA_CACHE", ""), folder("HF_HUB_CACHE", ""), folder("HUGGINGFACE_HUB_CACHE", ""), folder("HF_HOME", "hub"),
                folder("XDG_CACHE_HOME", "huggingface/hub"), folder("HOME", ".cache/huggingface/hub")});
  own_ = first({folder("LLAMA_CACHE", ""), folder("XDG_CACHE_HOME", "llama.cpp"), folder("HOME", ".cache/llama.cpp")});
}

std::string DownloadCache::Snapshot(const std::string& name) const {
  if (hub_.empty() || !IsName(name)) return "";
  const fs::path repository = fs::path(hub_) / ("models--" + Replaced(name, "/", "--"));
  const std::string commit = Commit(repository);
  return commit.empty() ? "" : (repository / "snapshots" / commit).string();
}

std::optional<CachedModel> DownloadCache::FindInHub(const std::string& name, const std::string& quantization, const std::string& file) const {
  const std::string folder = Snapshot(name);
  if (folder.empty()) return std::nullopt;
  const std::vector<std::string> files = GgufFiles(folder);
  const std::string model = ChooseModel(files, quantization, file);
  if (model.empty()) return std::nullopt;
  return CachedModel{(fs::path(folder) / model).string(), LargestProjector(folder, files, model)};
}

std::optional<CachedModel> DownloadCache::FindByManifest(const std::string& name, const std::string& quantization, const std::string& file) const {
  if (own_.empty() || !IsName(name)) return std::nullopt;
  const auto kept = [&](const std::string& in_repository) { return FindOwn(Replaced(name + "_" + in_repository, "/", "_")); };
  const fs::path path = fs::path(own_) / fmt::format("manifest={}={}.json", Replaced(name, "/", "="), quantization.empty() ? "latest" : quantization);
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
  return FindOwn(fmt::format("{}_{}.gguf", Replaced(repository, "/", "_"), colon == std::string::npos ? "latest" : name.substr(colon + 1)));
}

}  // namespace headrace::cli
