#include "serve/api/token_need.h"

#include <algorithm>
#include <array>

#include "base/size.h"
#include "llama_server/prompt_count.h"

namespace headrace::serve {
namespace {

constexpr std::array<std::string_view, 2> kChatPaths = {"/v1/chat/completions", "/chat/completions"};
constexpr std::array<std::string_view, 3> kTextPaths = {"/v1/completions", "/completions", "/completion"};
constexpr std::array<std::string_view, 4> kOtherPaths = {"/infill", "/v1/messages", "/v1/responses", "/responses"};
constexpr uint64_t kMostSequences = 256;
// Bodies with images can have many megabytes; texts that fit a context are shorter.
constexpr size_t kLongestBody = 8 * kMiB;

template <size_t N>
bool IsAnyOf(std::string_view path, const std::array<std::string_view, N>& paths) {
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

// The largest of the limits that are there: which one an API looks at is its own business.
std::optional<uint64_t> AnswerTokens(const Json& body) {
  std::optional<uint64_t> most;
  for (const char* name : {"max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict"}) {
    const auto limit = body.find(name);
    if (limit == body.end() || !limit->is_number()) continue;
    if (limit->get<double>() < 0 || limit->get<double>() > 1e9) return std::nullopt;
    most = std::max(most.value_or(0), static_cast<uint64_t>(limit->get<double>()));
  }
  return most;
}

bool IsTokens(const Json& prompt) {
  return prompt.is_array() &&
         std::all_of(prompt.begin(), prompt.end(), [](const Json& token) { return token.is_number(); });
}

// A text, tokens, or several of them.
void TakePrompt(const Json& prompt, GenerationRequest& request) {
  request.prompts = GenerationRequest::Prompts::kTexts;
  const bool several = prompt.is_array() && !prompt.empty() && !prompt.front().is_number();
  const Json one = Json::array({prompt});
  const Json& all = several ? prompt : one;
  for (const Json& each : all) {
    if (each.is_string()) {
      request.texts.push_back(each.get<std::string>());
    } else if (IsTokens(each)) {
      request.prompt_tokens += each.size();
    } else {
      request.prompts = GenerationRequest::Prompts::kUnknown;
    }
  }
  if (several) request.sequences = std::max<uint64_t>(request.sequences, all.size());
}

}  // namespace

std::optional<GenerationRequest> ParseGeneration(std::string_view path, const std::string& body) {
  const bool chat = IsAnyOf(path, kChatPaths), text = IsAnyOf(path, kTextPaths);
  if (!chat && !text && !IsAnyOf(path, kOtherPaths)) return std::nullopt;
  GenerationRequest request;
  if (body.size() > kLongestBody) return request;
  const Json json = JsonOrNull(body);
  if (!json.is_object()) return request;
  for (const char* name : {"n", "n_cmpl", "best_of"}) {
    const auto count = json.find(name);
    if (count != json.end() && count->is_number_unsigned())
      request.sequences = std::clamp(count->get<uint64_t>(), request.sequences, kMostSequences);
  }
  request.answer_tokens = AnswerTokens(json);
  const bool plain = body.find("image_url") == std::string::npos && body.find("input_audio") == std::string::npos;
  if (chat && plain) request.prompts = GenerationRequest::Prompts::kChat;
  if (const auto prompt = json.find("prompt"); text && prompt != json.end()) TakePrompt(*prompt, request);
  return request;
}

Task<uint64_t> NeededTokens(std::string socket_path, std::string path, std::string body, uint64_t context,
                            std::optional<uint64_t> default_tokens) {
  auto request = ParseGeneration(path, body);
  if (!request) co_return 0;
  const uint64_t all = context * request->sequences;
  const auto answer = request->answer_tokens ? request->answer_tokens : default_tokens;
  if (!answer || request->prompts == GenerationRequest::Prompts::kUnknown) co_return all;
  if (request->prompts == GenerationRequest::Prompts::kChat) {
    auto text = co_await ChatText(socket_path, std::move(body));
    if (!text.ok()) co_return all;
    request->texts.push_back(std::move(*text));
  }
  uint64_t prompts = request->prompt_tokens;
  for (std::string& text : request->texts) {
    const auto tokens = co_await CountTokens(socket_path, std::move(text));
    if (!tokens.ok()) co_return all;
    prompts += *tokens;
  }
  // Several prompts are counted together; several answers to one prompt have it each.
  const bool shared = request->texts.size() + (request->prompt_tokens > 0 ? 1 : 0) > 1;
  co_return std::min(all, (shared ? prompts : prompts * request->sequences) + *answer * request->sequences);
}

}  // namespace headrace::serve
