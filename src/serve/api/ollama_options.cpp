#include "serve/api/ollama_options.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "http/json_fields.h"

namespace headrace::serve {
namespace {

constexpr int64_t kMostContext = int64_t{1} << 31;

struct SamplingName {
  std::string_view name, engine_name;
};
// Numbers.
constexpr SamplingName kSampling[] = {{"temperature", "temperature"},
                                      {"top_p", "top_p"},
                                      {"top_k", "top_k"},
                                      {"min_p", "min_p"},
                                      {"typical_p", "typical_p"},
                                      {"seed", "seed"},
                                      {"repeat_last_n", "repeat_last_n"},
                                      {"repeat_penalty", "repeat_penalty"},
                                      {"presence_penalty", "presence_penalty"},
                                      {"frequency_penalty", "frequency_penalty"},
                                      {"mirostat", "mirostat"},
                                      {"mirostat_tau", "mirostat_tau"},
                                      {"mirostat_eta", "mirostat_eta"},
                                      {"num_keep", "n_keep"}};
// How a model is loaded here.
constexpr std::string_view kConfiguration[] = {
    "flash_mode", "ram_gb",       "flash_ram_gb", "vram_gb",   "flash_debug", "kv_cache_type", "draft_model",
    "speculate",  "draft_tokens", "projector",    "embedding", "slots",       "context_length"};
// Of Ollama's own way to run models.
constexpr std::string_view kLeftOut[] = {"num_gpu",    "main_gpu",  "num_thread",      "num_batch", "numa",
                                         "use_mmap",   "use_mlock", "low_vram",        "f16_kv",    "vocab_only",
                                         "logits_all", "tfs_z",     "penalize_newline"};

template <size_t N>
bool IsAmong(std::string_view name, const std::string_view (&names)[N]) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

Result<OllamaOptions> ParseOllamaOptions(const Json& options) {
  OllamaOptions parsed;
  if (options.is_null()) return parsed;
  if (!options.is_object())
    return Status(Code::kInvalidArgument,
                  "options is not understood: write an object, for instance {\"temperature\": 0.7}");
  const auto limit = WholeField(options, "num_predict"), context = WholeField(options, "num_ctx");
  if (!limit.ok()) return limit.status();
  if (!context.ok()) return context.status();
  if (*limit && **limit >= 0) parsed.limit = **limit;  // -1: without end, -2: to the end of the context
  if (*context) {
    if (**context < 1 || **context > kMostContext)
      return Status(Code::kInvalidArgument,
                    fmt::format("num_ctx is not understood: write a whole number from 1 to {}", kMostContext));
    parsed.context = static_cast<uint64_t>(**context);
  }
  const auto stop = TextsField(options, "stop");
  if (!stop.ok()) return stop.status();
  if (!stop->empty()) parsed.sampling["stop"] = *stop;
  for (const auto& [name, value] : options.items()) {
    if (name == "num_predict" || name == "num_ctx" || name == "stop" || value.is_null() || IsAmong(name, kLeftOut))
      continue;
    const auto known = std::find_if(std::begin(kSampling), std::end(kSampling),
                                    [&, key = name](const SamplingName& each) { return each.name == key; });
    if (known != std::end(kSampling)) {
      if (!value.is_number())
        return Status(Code::kInvalidArgument, fmt::format("{} is not understood: write a number", name));
      parsed.sampling[std::string(known->engine_name)] = value;
    } else if (IsAmong(name, kConfiguration)) {
      parsed.configuration[name] = value;
    } else {
      parsed.unknown.push_back(name);
    }
  }
  return parsed;
}

}  // namespace headrace::serve
