#include "engine/engine_verdict.h"

#include <algorithm>
#include <filesystem>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/cache_directory.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/small_file.h"
#include "base/text_file.h"
#include "engine/engine_probe.h"
#include "engine/processor.h"
#include "models/file_stamp.h"

namespace headrace::cli {
namespace {

constexpr uint64_t kMostBytes = 64 * 1024;

std::string VerdictPath() {
  const std::string folder = CacheDirectory();
  return folder.empty() ? "" : folder + "/engines.json";
}

EngineVerdicts ReadVerdicts(const std::string& path) {
  const auto text = ReadSmallFile(path, kMostBytes);
  return text.ok() ? ParseVerdicts(*text) : EngineVerdicts();
}

std::string KeyHere(const Engine& engine, const std::string& library) {
  return EngineKey(engine, library, ReadTextFile("/proc/cpuinfo").value_or(""));
}

}  // namespace

std::string EngineKey(const Engine& engine, const std::string& library, std::string_view cpuinfo) {
  uint64_t hash = HashBytes(DescribeCpu(ParseCpuFlags(cpuinfo)));
  const std::string ggml = FindGgmlLibrary(engine),
                    llama = (std::filesystem::path(ggml).parent_path() / "libllama.so").string();
  // Where libllama lies elsewhere its programs have changed with it.
  for (const std::string& path : {ggml, llama, engine.bin_dir + "/llama-server", library}) {
    const auto stamp = StampOf(path);
    if (!stamp && path == llama) continue;
    if (!stamp) return "";
    hash = HashBytes(fmt::format("{}\n{} {}\n", path, stamp->size, stamp->modified_ns / 1'000'000'000), hash);
  }
  return fmt::format("{:016x}", hash);
}

EngineVerdicts ParseVerdicts(std::string_view json) {
  EngineVerdicts verdicts;
  const Json all = JsonOrNull(json);
  if (!all.is_object()) return verdicts;
  for (const auto& [key, entry] : all.items()) {
    if (!entry.is_object() || !entry.contains("same") || !entry["same"].is_boolean()) continue;
    const uint64_t at = CountOf(entry, "at");
    std::string text = TextOf(entry, "text");
    if (at == 0 || at > INT64_MAX || text.empty()) continue;
    verdicts[key] = {static_cast<int64_t>(at), IsTrue(entry, "same"), std::move(text)};
  }
  return verdicts;
}

std::string RenderVerdicts(EngineVerdicts verdicts) {
  while (verdicts.size() > kMostVerdicts) {
    verdicts.erase(std::min_element(verdicts.begin(), verdicts.end(),
                                    [](const auto& a, const auto& b) { return a.second.at < b.second.at; }));
  }
  Json all = Json::object();
  for (const auto& [key, verdict] : verdicts)
    all[key] = {{"at", verdict.at}, {"same", verdict.same}, {"text", verdict.text}};
  return all.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::optional<EngineVerdict> LoadVerdict(const Engine& engine, const std::string& library) {
  const std::string path = VerdictPath(), key = path.empty() ? "" : KeyHere(engine, library);
  if (key.empty()) return std::nullopt;
  const EngineVerdicts verdicts = ReadVerdicts(path);
  const auto found = verdicts.find(key);
  return found == verdicts.end() ? std::nullopt : std::optional(found->second);
}

Status StoreVerdict(const Engine& engine, const std::string& library, const EngineVerdict& verdict) {
  const std::string path = VerdictPath();
  if (path.empty()) return Status(Code::kNotFound, "neither XDG_CACHE_HOME nor HOME is set");
  const std::string key = KeyHere(engine, library);
  if (key.empty()) return Status(Code::kNotFound, fmt::format("the programs in {} are incomplete", engine.bin_dir));
  EngineVerdicts verdicts = ReadVerdicts(path);
  verdicts[key] = verdict;
  return ReplaceFile(path, RenderVerdicts(std::move(verdicts)));
}

std::string DescribeVerdict(const std::optional<EngineVerdict>& verdict) {
  if (!verdict) return "not checked yet; `headrace engine check` checks it in a few seconds";
  return fmt::format("{:%Y-%m-%d}: {}", fmt::gmtime(static_cast<time_t>(verdict->at)), verdict->text);
}

}  // namespace headrace::cli
