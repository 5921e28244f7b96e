#include "serve/models/prompt_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/size.h"
#include "engine/engine_memory.h"
#include "engine/file_arguments.h"
#include "http/http.h"
#include "io/source_file.h"
#include "llama_server/child_client.h"
#include "serve/models/file_hash.h"

namespace headrace::serve {
namespace {

constexpr uint64_t kFewestTokens = 32;        // a shorter prompt is not worth a file
constexpr uint64_t kSlowestDisk = 20 * kMiB;  // bytes per second, when a prompt is read back

// The answer's JSON; null when it failed.
Task<Json> AskSlot(std::string socket_path, uint64_t slot, const char* action, std::string name, Millis time) {
  const Json body = {{"filename", std::move(name)}};
  const auto answer = co_await AskChild(std::move(socket_path), "POST",
                                        fmt::format("/slots/{}?action={}", slot, action), Dump(body), time);
  if (!answer.ok() || answer->status != 200) co_return Json();
  co_return JsonOrNull(answer->body);
}

// [{"id": 0, "scale": 1.0}, ...] of what has more to say about each adapter.
Json Scales(const Json& adapters) {
  Json scales = Json::array();
  for (const Json& adapter : adapters.is_array() ? adapters : Json::array()) {
    if (!adapter.is_object()) continue;
    Json& scale = scales.emplace_back(Json::object());
    for (const char* key : {"id", "scale"}) scale[key] = adapter.value(key, Json());
  }
  return scales;
}

cli::EngineArguments Words(const Settings& settings, const LoadPlan& plan) {
  return Joined(cli::EngineArguments(plan.defaults.options), settings.rest);
}

// What tells a model's file from one that was written over it: its content in samples, and when it was written or
// changed.
Result<uint64_t> HashModelFile(const std::string& path, uint64_t seed) {
  const auto file = SourceFile::Open(path, SourceFile::Access::kBuffered);
  if (!file.ok()) return file.status();
  const auto fingerprint = file->Fingerprint();
  if (!fingerprint.ok()) return fingerprint.status();
  struct stat info {};
  if (::fstat(file->fd(), &info) != 0) return Status(Code::kIo, path);
  return HashBytes(fmt::format("{:x} {} {}.{} {}.{} ", *fingerprint, info.st_size, info.st_mtim.tv_sec,
                               info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec),
                   seed);
}

// Variables that llama.cpp and ggml take for options, in an order of their own.
std::string EngineVariables() {
  std::vector<std::string> found;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    if (text.starts_with("LLAMA_") || text.starts_with("GGML_")) found.emplace_back(text);
  }
  std::sort(found.begin(), found.end());
  std::string all;
  for (const std::string& text : found) all += text + "\n";
  return all;
}

}  // namespace

uint64_t PromptCache::KeyOf(const LoadPlan& plan) const {
  uint64_t key = HashBytes(settings_.engine_version + EngineVariables());
  for (const CatalogueFile& part : plan.setup.catalogue.files) {
    const auto hash = HashModelFile(part.path, key);
    if (!hash.ok()) return 0;
    key = *hash;
  }
  key = HashBytes(fmt::format("{} {} {} {}", plan.asked.kv_cache_type.value_or(""), plan.context,
                              static_cast<int>(plan.config.kernels), plan.embedding),
                  key);
  const auto words = Words(settings_, plan);
  for (const std::string& word : words.words()) key = HashBytes(word + "\n", key);
  const auto files = HashFiles(cli::AdapterFiles(words), key);
  return files.ok() ? *files : 0;
}

Task<Json> PromptCache::Adapters(const LoadPlan& plan, std::string socket_path) {
  if (!files_.enabled() || cli::AdapterFiles(Words(settings_, plan)).empty()) co_return Json();
  const auto answer = co_await AskChild(std::move(socket_path), "GET", "/lora-adapters", "", kUsualQuestion);
  if (!answer.ok() || answer->status != 200) co_return Json();
  const Json adapters = JsonOrNull(answer->body);
  co_return Scales(adapters);
}

Task<> PromptCache::Save(const LoadPlan& plan, std::string socket_path, uint64_t slots, Json scales,
                         Clock::time_point limit) {
  if (!files_.enabled()) co_return;
  uint64_t key = 0;
  co_await OnWorker(worker_, [&] { key = KeyOf(plan); });
  // Its process computed with what the files were when it was loaded.
  if (const std::string changed = ChangedFile(plan.stamps); key != 0 && !changed.empty()) {
    LogDebug(fmt::format("{}: {} is another one now: its prompts are not kept", plan.entry.id, changed));
    co_return;
  }
  Json used;
  if (!scales.is_null()) {
    const auto answer = co_await AskChild(socket_path, "GET", "/slots", "", kUsualQuestion);
    if (answer.ok() && answer->status == 200) used = JsonOrNull(answer->body);
    if (!used.is_array()) co_return;
  }
  for (uint64_t slot = 0; key != 0 && slot < slots; ++slot) {
    if (slot < used.size()) {
      const Json parameters = used[slot].is_object() ? used[slot].value("params", Json()) : Json();
      // One that named none had those of the start.
      const Json own = Scales(parameters.is_object() ? parameters.value("lora", Json()) : Json());
      if (!own.empty() && own != scales) continue;
    }
    const auto left = std::chrono::duration_cast<Millis>(limit - Clock::now());
    if (left.count() <= 0) {
      LogWarning(fmt::format("{}: prompts from slot {} on are not kept: there was no more time", plan.entry.id, slot));
      co_return;
    }
    const std::string name = files_.UnfinishedName(key, slot);
    const Json saved = co_await AskSlot(socket_path, slot, "save", name, left);
    // The engine counts what it meant to write.
    const uint64_t tokens = CountOf(saved, "n_saved"), bytes = tokens < kFewestTokens ? 0 : CountOf(saved, "n_written");
    Status kept;
    co_await OnWorker(worker_, [&] { kept = files_.Keep(key, slot, bytes); });
    if (!kept.ok() && (tokens >= kFewestTokens || saved.is_null())) {
      LogWarning(fmt::format("{}: the prompt of slot {} is not kept: {}", plan.entry.id, slot, kept.message()));
      co_return;
    }
    if (kept.ok())
      LogDebug(fmt::format("{}: {} tokens of slot {} are kept, {}", plan.entry.id, tokens, slot, FormatSize(bytes)));
  }
}

Task<> PromptCache::Restore(const LoadPlan& plan, std::string socket_path, uint64_t slots) {
  if (!files_.enabled()) co_return;
  std::vector<PromptFiles::File> found;
  co_await OnWorker(worker_, [&] {
    if (const uint64_t key = KeyOf(plan)) found = files_.Find(key);
    std::erase_if(found, [&](const PromptFiles::File& file) { return file.slot >= slots || !files_.Check(file); });
  });
  for (const PromptFiles::File& file : found) {
    const Millis time = kUsualQuestion + Millis(1000 * (file.bytes / kSlowestDisk));
    const auto begin = Clock::now();
    const Json restored = co_await AskSlot(socket_path, file.slot, "restore", file.name, time);
    if (!restored.is_null()) {
      files_.Touch(file);
      LogDebug(fmt::format("{}: slot {} has {} tokens of before", plan.entry.id, file.slot,
                           CountOf(restored, "n_restored")));
    } else if (Clock::now() - begin < time) {
      LogWarning(fmt::format("{}: {}/{} cannot be read back: removed", plan.entry.id, files_.folder(), file.name));
      files_.Remove(file);
    } else {
      LogWarning(fmt::format("{}: {}/{} was not read back in time; the prompt is read anew", plan.entry.id,
                             files_.folder(), file.name));
      co_return;
    }
  }
}

}  // namespace headrace::serve
