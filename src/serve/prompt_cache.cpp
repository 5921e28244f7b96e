#include "serve/prompt_cache.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/size.h"
#include "io/source_file.h"
#include "serve/child_client.h"
#include "serve/http.h"

namespace headrace::serve {
namespace {

constexpr uint64_t kFewestTokens = 32;   // a shorter prompt is not worth a file

// The answer's JSON; null when it failed.
Task<Json> AskSlot(std::string socket_path, uint64_t slot, const char* action, std::string name) {
  const Json body = {{"filename", std::move(name)}};
  const auto answer = co_await AskChild(std::move(socket_path), "POST", fmt::format("/slots/{}?action={}", slot, action), Dump(body));
  if (!answer.ok() || answer->status != 200) co_return Json();
  co_return cli::JsonOrNull(answer->body);
}

}  // namespace

uint64_t PromptCache::KeyOf(const LoadPlan& plan) const {
  uint64_t key = HashBytes(settings_.engine_version);
  for (const CatalogueFile& part : plan.setup.catalogue.files) {
    const auto file = SourceFile::Open(part.path, SourceFile::Access::kBuffered);
    const auto fingerprint = file.ok() ? file->Fingerprint() : Result<uint64_t>(file.status());
    if (!fingerprint.ok()) return 0;
    key = HashBytes(fmt::format("{:x} ", *fingerprint), key);
  }
  // Adapters, positions' scaling and the like.
  key = HashBytes(fmt::format("{} {}", plan.asked.kv_cache_type.value_or(""), plan.context), key);
  for (const cli::EngineOption& option : plan.defaults.options) key = HashBytes(fmt::format("{} {}\n", option.names.front(), option.value), key);
  for (const std::string& word : settings_.rest) key = HashBytes(word + "\n", key);
  return key;
}

Task<> PromptCache::Save(const LoadPlan& plan, std::string socket_path, uint64_t slots) {
  if (!files_.enabled()) co_return;
  uint64_t key = 0;
  co_await OnWorker(worker_, [&] { key = KeyOf(plan); });
  for (uint64_t slot = 0; key != 0 && slot < slots; ++slot) {
    const std::string name = files_.UnfinishedName(key, slot);
    const Json saved = co_await AskSlot(socket_path, slot, "save", name);
    // The engine counts what it meant to write.
    const uint64_t tokens = cli::CountOf(saved, "n_saved"), bytes = tokens < kFewestTokens ? 0 : cli::CountOf(saved, "n_written");
    Status kept;
    co_await OnWorker(worker_, [&] { kept = files_.Keep(key, slot, bytes); });
    if (!kept.ok() && (tokens >= kFewestTokens || saved.is_null())) {
      LogWarning(fmt::format("{}: the prompt of slot {} is not kept: {}", plan.entry.id, slot, kept.message()));
      co_return;
    }
    if (kept.ok()) LogDebug(fmt::format("{}: {} tokens of slot {} are kept, {}", plan.entry.id, tokens, slot, FormatSize(bytes)));
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
    const Json restored = co_await AskSlot(socket_path, file.slot, "restore", file.name);
    if (restored.is_null()) {
      LogWarning(fmt::format("{}: {}/{} cannot be read back: removed", plan.entry.id, files_.folder(), file.name));
      files_.Remove(file);
    } else {
      files_.Touch(file);
      LogDebug(fmt::format("{}: slot {} has {} tokens of before", plan.entry.id, file.slot, cli::CountOf(restored, "n_restored")));
    }
  }
}

}  // namespace headrace::serve
