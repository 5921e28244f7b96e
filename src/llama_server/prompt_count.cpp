#include "llama_server/prompt_count.h"

#include <fmt/format.h>

#include "http/http.h"
#include "llama_server/child_client.h"

namespace headrace::serve {
namespace {

// The member `name` of the object that is the answer.
Task<Result<Json>> Ask(std::string socket_path, const char* target, std::string body, const char* name,
                       Json::value_t type) {
  const auto answer = co_await AskChild(std::move(socket_path), "POST", target, std::move(body), kUsualQuestion);
  if (!answer.ok()) co_return answer.status();
  if (answer->status != 200) co_return RefusalOf(answer->body);
  const Json json = JsonOrNull(answer->body);
  const Json* found = FindMember(json, name);
  if (found == nullptr || found->type() != type)
    co_return Status(Code::kInternal, fmt::format("llama-server answers {} without {}", target, name));
  co_return *found;
}

}  // namespace

Task<Result<std::string>> ChatText(std::string socket_path, std::string body) {
  const auto prompt =
      co_await Ask(std::move(socket_path), "/apply-template", std::move(body), "prompt", Json::value_t::string);
  if (!prompt.ok()) co_return prompt.status();
  co_return prompt->get<std::string>();
}

Task<Result<std::vector<int64_t>>> TokensOf(std::string socket_path, std::string text, bool whole) {
  const Json question = {{"content", std::move(text)}, {"add_special", whole}, {"parse_special", true}};
  const auto answer = co_await Ask(std::move(socket_path), "/tokenize", Dump(question), "tokens", Json::value_t::array);
  if (!answer.ok()) co_return answer.status();
  std::vector<int64_t> tokens;
  for (const Json& token : *answer) tokens.push_back(token.is_number_integer() ? token.get<int64_t>() : 0);
  co_return tokens;
}

Task<Result<uint64_t>> CountTokens(std::string socket_path, std::string text) {
  const auto tokens = co_await TokensOf(std::move(socket_path), std::move(text), true);
  if (!tokens.ok()) co_return tokens.status();
  co_return uint64_t{tokens->size()};
}

Task<Result<uint64_t>> CountInput(std::string socket_path, const char* path, std::string body) {
  const auto tokens =
      co_await Ask(std::move(socket_path), path, std::move(body), "input_tokens", Json::value_t::number_unsigned);
  if (!tokens.ok()) co_return tokens.status();
  co_return tokens->get<uint64_t>();
}

Task<Result<std::vector<std::string>>> TokenPieces(std::string socket_path, std::string text) {
  const Json question = {{"content", std::move(text)}, {"with_pieces", true}, {"parse_special", true}};
  const auto tokens = co_await Ask(std::move(socket_path), "/tokenize", Dump(question), "tokens", Json::value_t::array);
  if (!tokens.ok()) co_return tokens.status();
  std::vector<std::string> pieces;
  for (const Json& token : *tokens) {
    std::string& bytes = pieces.emplace_back(TextOf(token, "piece"));
    const Json* piece = FindMember(token, "piece");
    if (piece == nullptr || !piece->is_array()) continue;  // bytes of a character that several tokens make
    for (const Json& byte : *piece) bytes += static_cast<char>(byte.is_number_unsigned() ? byte.get<unsigned>() : 0);
  }
  co_return pieces;
}

}  // namespace headrace::serve
