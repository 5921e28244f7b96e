#include "batch/token_count.h"

#include <vector>

#include "llama_server/prompt_count.h"

namespace headrace::batch {
namespace {

// More are guessed: each is a request of its own.
constexpr size_t kMostTexts = 64;

// The texts among the prompts; what is given as tokens is counted by its Demand.
std::vector<std::string> TextsOf(const Json& prompts) {
  std::vector<std::string> texts;
  if (prompts.is_string()) texts.push_back(prompts.get<std::string>());
  if (prompts.is_array()) {
    for (const Json& part : prompts) {
      if (part.is_string()) texts.push_back(part.get<std::string>());
    }
  }
  return texts;
}

}  // namespace

serve::Task<std::optional<uint64_t>> CountTokens(std::string socket_path, Request request) {
  std::vector<std::string> texts;
  uint64_t tokens = 0;
  if (request.endpoint == Endpoint::kChat) {
    auto text =
        co_await serve::ChatText(socket_path, request.body.dump(-1, ' ', false, Json::error_handler_t::replace));
    if (!text.ok()) co_return std::nullopt;
    texts.push_back(std::move(*text));
  } else {
    const char* key = request.endpoint == Endpoint::kCompletion ? "prompt" : "input";
    if (!request.body.contains(key)) co_return std::nullopt;
    texts = TextsOf(request.body[key]);
    tokens = DemandOf(request).prompt_tokens;
  }
  if (texts.size() > kMostTexts) co_return std::nullopt;
  for (std::string& text : texts) {
    const auto counted = co_await serve::CountTokens(socket_path, std::move(text));
    if (!counted.ok()) co_return std::nullopt;
    tokens += *counted;
  }
  co_return tokens;
}

}  // namespace headrace::batch
