#include "serve/api/token_need.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/size.h"
#include "llama_server/prompt_count.h"

namespace headrace::serve {
namespace {

constexpr std::array<std::string_view, 2> kChatPaths = {"/v1/chat/completions", "/chat/completions"};
constexpr std::array<std::string_view, 3> kTextPaths = {"/v1/completions", "/completions", "/completion"};
constexpr std::string_view kMessagesPath = "/v1/messages", kInfillPath = "/infill";
constexpr std::array<std::string_view, 2> kResponsesPaths = {"/v1/responses", "/responses"};
constexpr const char* kLimitNames[] = {"max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict"};
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
  for (const char* name : kLimitNames) {
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

bool Generates(std::string_view path) {
  return IsAnyOf(path, kChatPaths) || IsAnyOf(path, kTextPaths) || IsAnyOf(path, kResponsesPaths) ||
         path == kMessagesPath || path == kInfillPath;
}

std::optional<GenerationRequest> ParseGeneration(std::string_view path, const std::string& body) {
  if (!Generates(path)) return std::nullopt;
  const bool chat = IsAnyOf(path, kChatPaths), text = IsAnyOf(path, kTextPaths);
  const bool messages = path == kMessagesPath, responses = IsAnyOf(path, kResponsesPaths);
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
  const bool plain = body.find("image") == std::string::npos && body.find("input_audio") == std::string::npos;
  if (chat && plain) request.prompts = GenerationRequest::Prompts::kChat;
  if ((messages || responses) && plain) {
    request.prompts = GenerationRequest::Prompts::kInput;
    request.count_path = messages ? "/v1/messages/count_tokens" : "/v1/responses/input_tokens";
  }
  if (const auto prompt = json.find("prompt"); text && prompt != json.end()) TakePrompt(*prompt, request);
  return request;
}

Task<TokenNeed> NeededTokens(std::string socket_path, std::string path, std::string body, uint64_t context,
                             std::optional<uint64_t> default_tokens) {
  auto request = ParseGeneration(path, body);
  TokenNeed need;
  if (!request) co_return need;
  need.slots = request->sequences;
  const uint64_t all = context * request->sequences;
  need.tokens = all;
  const auto answer = request->answer_tokens ? request->answer_tokens : default_tokens;
  if (request->prompts == GenerationRequest::Prompts::kUnknown) co_return need;
  uint64_t prompts = request->prompt_tokens;
  if (request->prompts == GenerationRequest::Prompts::kChat) {
    auto text = co_await ChatText(socket_path, std::move(body));
    if (!text.ok()) co_return need;
    request->texts.push_back(std::move(*text));
  } else if (request->prompts == GenerationRequest::Prompts::kInput) {
    const auto tokens = co_await CountInput(socket_path, request->count_path, std::move(body));
    if (!tokens.ok()) co_return need;
    prompts = *tokens;
  }
  for (std::string& text : request->texts) {
    const auto tokens = co_await CountTokens(socket_path, std::move(text));
    if (!tokens.ok()) co_return need;
    prompts += *tokens;
  }
  // Several prompts are counted together; several answers to one prompt have it each.
  const bool shared = request->texts.size() + (request->prompt_tokens > 0 ? 1 : 0) > 1;
  if (!shared) need.prompt_tokens = prompts;
  if (answer)
    need.tokens = std::min(all, (shared ? prompts : prompts * request->sequences) + *answer * request->sequences);
  co_return need;
}

std::string WithAnswerLimit(std::string_view path, std::string body, uint64_t tokens) {
  const auto parsed = ParseJson(body, 1);
  if (!parsed.ok() || !parsed->is_object() || !ParseGeneration(path, "{}")) return body;
  for (const char* name : kLimitNames) {
    if (const Json* limit = FindMember(*parsed, name); limit != nullptr && !limit->is_null()) return body;
  }
  // Beside the rest, whose order and numbers stay as they are. llama-server takes the last of two, if there is one that
  // is null.
  const char* name = path == "/completion" || path == kInfillPath ? "n_predict"
                     : IsAnyOf(path, kResponsesPaths)             ? "max_output_tokens"
                                                                  : "max_tokens";
  body.insert(body.rfind('}'), fmt::format("{}\"{}\":{}", parsed->empty() ? "" : ",", name, tokens));
  return body;
}

}  // namespace headrace::serve
