#include "models/places.h"

#include <algorithm>
#include <filesystem>
#include <initializer_list>

namespace headrace {
namespace {

namespace fs = std::filesystem;

// Where Ollama keeps models as a service of the system.
constexpr const char* kOllamaService = "/usr/share/ollama/.ollama/models";

// `below` in the folder that a variable names, "" without it.
std::string Below(const Getenv& getenv, const char* variable, const char* below) {
  const char* value = getenv(variable);
  if (value == nullptr || *value == '\0') return "";
  return (*below == '\0' ? fs::path(value) : fs::path(value) / below).lexically_normal().string();
}

std::string FirstOf(std::initializer_list<std::string> folders) {
  const auto found =
      std::find_if(folders.begin(), folders.end(), [](const std::string& path) { return !path.empty(); });
  return found == folders.end() ? std::string() : *found;
}

}  // namespace

std::string HubFolder(const Getenv& getenv) {
  return FirstOf({Below(getenv, "HF_HUB_CACHE", ""), Below(getenv, "HUGGINGFACE_HUB_CACHE", ""),
                  Below(getenv, "HF_HOME", "hub"), Below(getenv, "XDG_CACHE_HOME", "huggingface/hub"),
                  Below(getenv, "HOME", ".cache/huggingface/hub")});
}

std::string LlamaCacheFolder(const Getenv& getenv) {
  return FirstOf({Below(getenv, "LLAMA_CACHE", ""), Below(getenv, "XDG_CACHE_HOME", "llama.cpp"),
                  Below(getenv, "HOME", ".cache/llama.cpp")});
}

std::vector<ModelPlace> MachinePlaces(const Getenv& getenv) {
  std::vector<ModelPlace> places;
  const auto add = [&](const std::string& folder, bool ollama = false) {
    std::error_code error;
    if (!folder.empty() && fs::is_directory(folder, error)) places.push_back({folder, ollama});
  };
  const char* value = getenv("HEADRACE_MODELS_DIR");
  const std::string named = value == nullptr ? "" : value;
  for (size_t begin = 0; begin < named.size();) {
    const size_t end = std::min(named.find(':', begin), named.size());
    add(named.substr(begin, end - begin));
    begin = end + 1;
  }
  add(HubFolder(getenv));
  add(LlamaCacheFolder(getenv));
  add(Below(getenv, "HOME", ".lmstudio/models"));
  add(Below(getenv, "HOME", ".cache/lm-studio/models"));
  const std::string ollama = Below(getenv, "OLLAMA_MODELS", "");
  add(ollama.empty() ? Below(getenv, "HOME", ".ollama/models") : ollama, true);
  if (ollama.empty()) add(kOllamaService, true);
  return places;
}

std::vector<ModelPlace> PlacesOf(const std::vector<std::string>& folders) {
  std::vector<ModelPlace> places;
  for (const std::string& folder : folders) places.push_back({folder});
  return places;
}

}  // namespace headrace
