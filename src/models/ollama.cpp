#include "models/ollama.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "base/json.h"
#include "base/small_file.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLargestManifest = 1 << 20;
constexpr size_t kShaDigits = 64;
constexpr std::string_view kRegistry = "registry.ollama.ai", kLibrary = "library";
constexpr std::string_view kModelLayer = "application/vnd.ollama.image.model";

// "sha256:..." as the name of a blob, "" when it is none.
std::string BlobName(const std::string& digest) {
  constexpr std::string_view kKind = "sha256:";
  if (digest.size() != kKind.size() + kShaDigits || !digest.starts_with(kKind)) return "";
  const std::string digits = digest.substr(kKind.size());
  if (!std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isxdigit(c) != 0; })) return "";
  return "sha256-" + digits;
}

// The blob with the weights, "" when the manifest names none.
std::string ModelBlob(const std::string& manifest) {
  const auto text = ReadSmallFile(manifest, kLargestManifest);
  const Json json = text.ok() ? JsonOrNull(*text) : Json();
  const Json* layers = FindMember(json, "layers");
  if (layers == nullptr || !layers->is_array()) return "";
  for (const Json& layer : *layers) {
    if (TextOf(layer, "mediaType") == kModelLayer) return BlobName(TextOf(layer, "digest"));
  }
  return "";
}

// The names in the folders around a manifest: registry, user, model.
std::string ModelName(const std::string& registry, const std::string& user, const std::string& model) {
  if (registry != kRegistry) return registry + "/" + user + "/" + model;
  return user == kLibrary ? model : user + "/" + model;
}

}  // namespace

std::vector<Way> OllamaModels(const std::string& folder) {
  std::vector<Way> ways;
  std::error_code error;
  const fs::path root = fs::absolute(folder, error).lexically_normal(), manifests = root / "manifests";
  for (auto it = fs::recursive_directory_iterator(manifests, error); !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    std::error_code ignored;
    if (it.depth() > 3) it.disable_recursion_pending();
    if (it.depth() != 3 || !it->is_regular_file(ignored)) continue;
    const std::string blob = ModelBlob(it->path().string());
    const std::string path = (root / "blobs" / blob).string();
    const auto identity = blob.empty() ? std::nullopt : FileInodeOf(path);
    if (!identity) continue;
    const fs::path model = it->path().parent_path(), user = model.parent_path();
    const std::string name =
        ModelName(user.parent_path().filename().string(), user.filename().string(), model.filename().string());
    const std::string tag = it->path().filename().string();
    Way way;
    way.path = path;
    way.name = way.short_name = name + ":" + tag;
    way.longer = {"ollama/" + way.name, path};
    way.others = {name};
    way.inode = *identity;
    ways.push_back(std::move(way));
  }
  return ways;
}

}  // namespace headrace
