#include "serve/api/ollama_models.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "http/json_fields.h"
#include "serve/api/ollama_answer.h"

namespace headrace::serve {
namespace {

// The time of an unloading that never comes; a time that every client can read.
constexpr const char* kNever = "9999-12-31T23:59:59Z";

// "20.7M", "30.5B".
std::string ParametersText(uint64_t parameters) {
  const auto number = static_cast<double>(parameters);
  if (parameters >= 1'000'000'000) return fmt::format("{:.1f}B", number / 1e9);
  return parameters >= 1'000'000 ? fmt::format("{:.1f}M", number / 1e6) : fmt::format("{:.1f}K", number / 1e3);
}

// Tells one state of a file from another, as Ollama's digest does, without reading all of it.
std::string DigestOf(const ModelEntry& entry) {
  std::string digest;
  uint64_t hash = HashBytes(fmt::format("{}\n{}\n{}", entry.path, entry.size_bytes, entry.modified));
  for (int i = 0; i < 4; ++i) {
    digest += fmt::format("{:016x}", hash);
    hash = HashBytes(digest, hash);
  }
  return digest;
}

Json DetailsOf(const ModelEntry& entry) {
  return {{"parent_model", ""},
          {"format", "gguf"},
          {"family", entry.architecture},
          {"families", {entry.architecture}},
          {"parameter_size", ParametersText(entry.parameters)},
          {"quantization_level", entry.quantization}};
}

std::string ModifiedText(const ModelEntry& entry) {
  return UtcText(std::chrono::system_clock::from_time_t(entry.modified));
}

}  // namespace

Json OllamaTag(const ModelEntry& entry, const std::string& name) {
  return {{"name", name},
          {"model", name},
          {"modified_at", ModifiedText(entry)},
          {"size", entry.size_bytes},
          {"digest", DigestOf(entry)},
          {"details", DetailsOf(entry)}};
}

Json OllamaRunning(const Model& model, std::chrono::seconds ttl) {
  const ModelEntry& entry = model.plan().entry;
  Json json = OllamaTag(entry, entry.id);
  json.erase("modified_at");
  const auto time = model.keep_alive.value_or(ttl);
  const auto idle = model.requests() > 0 ? Clock::duration(0) : Clock::now() - model.last_used();
  const auto left = std::chrono::duration_cast<std::chrono::system_clock::duration>(Clock::duration(time) - idle);
  json["expires_at"] = time.count() > 0 ? UtcText(std::chrono::system_clock::now() + left) : kNever;
  uint64_t on_devices = 0;
  if (const auto& engine = model.plan().memory().engine) {
    for (const cli::DeviceMemory& device : engine->devices) on_devices += device.total_bytes();
  }
  json["size_vram"] = on_devices;
  json["context_length"] = model.context > 0 ? model.context : model.plan().context;
  return json;
}

Json OllamaShow(const ModelEntry& entry, const Json& properties, bool has_projector) {
  Json capabilities = Json::array();
  const std::string text = TextOf(properties, "chat_template");
  if (entry.kind == ModelKind::kEmbedding) {
    capabilities.push_back("embedding");
  } else if (entry.kind == ModelKind::kText) {
    // llama-server brings tools to every template.
    for (const char* each : {"completion", "tools"}) capabilities.push_back(each);
    if (has_projector) capabilities.push_back("vision");
    if (text.find("enable_thinking") != std::string::npos || text.find("<think>") != std::string::npos)
      capabilities.push_back("thinking");
  }
  Json info = {{"general.architecture", entry.architecture}, {"general.parameter_count", entry.parameters}};
  if (!entry.name.empty()) info["general.name"] = entry.name;
  if (entry.context_length > 0) info[entry.architecture + ".context_length"] = entry.context_length;
  return {{"modelfile", fmt::format("FROM {}\n", Dump(entry.id))},
          {"parameters", ""},
          {"template", text},
          {"license", ""},
          {"details", DetailsOf(entry)},
          {"model_info", info},
          {"capabilities", capabilities},
          {"modified_at", ModifiedText(entry)}};
}

}  // namespace headrace::serve
