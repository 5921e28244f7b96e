#include "serve/models/config_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "base/config_directory.h"
#include "base/descriptor.h"
#include "models/file_names.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;
constexpr int kVersion = 1;

Status Failed(const char* what, const std::string& path) {
  return Status(Code::kIo, fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

// Written to the disk, not only to the cache: a name that is put in its place must never show half a file.
Status WriteWhole(const std::string& path, std::string_view text) {
  const Descriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return Failed("create", path);
  while (!text.empty()) {
    const ssize_t count = write(fd.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Failed("write", path);
    text.remove_prefix(static_cast<size_t>(count));
  }
  return fsync(fd.get()) == 0 ? Status() : Failed("write", path);
}

}  // namespace

Result<Json> ConfigStore::Read() const {
  const Json empty = {{"version", kVersion}, {"models", Json::object()}};
  std::error_code error;
  if (path_.empty() || !fs::exists(path_, error)) return empty;
  std::ifstream file(path_, std::ios::binary);
  if (!file) return Failed("read", path_);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  auto parsed = ParseJson(text);
  const auto broken = [&](const std::string& why) {
    return Status(Code::kCorrupt,
                  fmt::format("the remembered configurations in {} cannot be used ({}); correct the file or "
                              "remove it: until then nothing is remembered",
                              path_, why));
  };
  if (!parsed.ok()) return broken("as JSON " + parsed.status().message());
  Json json = std::move(*parsed);
  if (!json.is_object()) return broken("it is no JSON object");
  if (json.value("version", Json()) != kVersion) return broken("its \"version\" is not 1");
  if (!json.contains("models")) json["models"] = Json::object();
  if (!json["models"].is_object()) return broken("its \"models\" is no object");
  return json;
}

Result<ModelConfig> ConfigStore::Find(const std::string& model_path) const {
  const auto json = Read();
  if (!json.ok()) return json.status();
  const auto it = (*json)["models"].find(NameAsText(model_path));
  if (it == (*json)["models"].end()) return ModelConfig();
  auto config = ParseModelConfig(*it, {});
  if (config.ok()) return config;
  return Status(Code::kCorrupt, fmt::format("{}: {}: {}", path_, model_path, config.status().message()));
}

Status ConfigStore::Remember(const std::string& model_path, const ModelConfig& config) const {
  if (path_.empty()) return {};
  auto json = Read();
  if (!json.ok()) return json.status();
  Json& models = (*json)["models"];
  const Json entry = ToJson(config);
  const std::string key = NameAsText(model_path);
  const auto old = models.find(key);
  if (old == models.end() ? entry.empty() : *old == entry) return {};
  if (entry.empty()) {
    models.erase(key);
  } else {
    models[key] = entry;
  }
  std::error_code error;
  fs::create_directories(fs::path(path_).parent_path(), error);
  const std::string temporary = fmt::format("{}.{}", path_, getpid());
  Status status = WriteWhole(temporary, json->dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  if (status.ok() && rename(temporary.c_str(), path_.c_str()) != 0) status = Failed("replace", path_);
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

std::string DefaultConfigPath() {
  const std::string folder = ConfigDirectory();
  return folder.empty() ? "" : folder + "/models.json";
}

}  // namespace headrace::serve
