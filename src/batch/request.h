// One line of a batch's input: OpenAI's {"custom_id", "method", "url", "body"}. Pure, for hostile input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"

namespace headrace::batch {

// The order of keys stays what it was.
using Json = nlohmann::ordered_json;

enum class Endpoint { kChat, kCompletion, kEmbedding };
const char* UrlOf(Endpoint endpoint);

struct Request {
  std::string custom_id;  // "" while a line is malformed and has none
  Endpoint endpoint = Endpoint::kChat;
  Json body;            // an object
  std::string problem;  // what is wrong with the line, "" when nothing is
};

Request ParseRequest(std::string_view line);

// What a request takes of the KV cache, as far as it says.
struct Demand {
  uint64_t prompt_bytes = 0;              // text of all its prompts
  uint64_t prompt_tokens = 0;             // given as numbers
  uint64_t prompts = 1;                   // or inputs of an embedding
  uint64_t answers = 1;                   // for each prompt ("n")
  std::optional<uint64_t> answer_tokens;  // the most for each answer; nullopt: it names no limit

  // Guesses, until the engine has counted: English has four bytes for each token, small vocabularies two.
  uint64_t likely_prompt_tokens() const { return prompt_tokens + prompt_bytes / 3 + kTemplateTokens; }
  uint64_t most_prompt_tokens() const { return prompt_tokens + prompt_bytes / 2 + kTemplateTokens; }

  static constexpr uint64_t kTemplateTokens = 16;
};

Demand DemandOf(const Request& request);

// The body as the engine gets it: an answer without a limit of its own has at most `answer_tokens`.
std::string BodyFor(const Request& request, uint64_t answer_tokens);

}  // namespace headrace::batch
