#include "batch/token_count.h"

#include <algorithm>
#include <vector>

#include "serve/child_client.h"

namespace headrace::batch {
namespace {

// More are guessed: each is a request of its own.
constexpr size_t kMostTexts = 64;

std::string Write(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// Null when it failed.
serve::Task<Json> Ask(std::string socket_path, std::string target, std::string body) {
  const auto answer = co_await serve::AskChild(std::move(socket_path), "POST", std::move(target), std::move(body));
  if (!answer.ok() || answer->status != 200) co_return Json();
  Json json = Json::parse(answer->body, nullptr, false);
  co_return json.is_object() ? std::move(json) : Json();
}

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
    const Json prompt = co_await Ask(socket_path, "/apply-template", Write(request.body));
    if (!prompt.contains("prompt") || !prompt["prompt"].is_string()) co_return std::nullopt;
    texts.push_back(prompt["prompt"].get<std::string>());
  } else {
    const char* key = request.endpoint == Endpoint::kCompletion ? "prompt" : "input";
    if (!request.body.contains(key)) co_return std::nullopt;
    texts = TextsOf(request.body[key]);
    tokens = DemandOf(request).prompt_tokens;
  }
  if (texts.size() > kMostTexts) co_return std::nullopt;
  for (const std::string& text : texts) {
    const Json question = {{"content", text}, {"add_special", true}, {"parse_special", true}};
    const Json counted = co_await Ask(socket_path, "/tokenize", Write(question));
    if (!counted.contains("tokens") || !counted["tokens"].is_array()) co_return std::nullopt;
    tokens += counted["tokens"].size();
  }
  co_return tokens;
}

}  // namespace headrace::batch
