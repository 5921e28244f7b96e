// What of a model a request can come to need: slots, and tokens of the KV cache.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/http.h"
#include "http/net.h"

namespace headrace::serve {

// What its JSON says.
struct GenerationRequest {
  enum class Prompts {
    kUnknown,  // images, sound, or of an API whose template is not to be had
    kChat,     // /apply-template makes a text of the body
    kTexts,
    kInput,  // llama-server's own count of the API, at `count_path`
  };
  Prompts prompts = Prompts::kUnknown;
  const char* count_path = "";
  std::vector<std::string> texts;  // of kTexts; those that came as tokens are counted in `prompt_tokens`
  uint64_t prompt_tokens = 0;
  uint64_t sequences = 1;                 // answers that are made at the same time
  std::optional<uint64_t> answer_tokens;  // of each at most; none: until the model ends
};

// Whether llama-server generates an answer to a POST to this path. Pure.
bool Generates(std::string_view path);

// Nullopt for a path that generates nothing. A body that is not understood is of kUnknown prompts. Pure.
std::optional<GenerationRequest> ParseGeneration(std::string_view path, const std::string& body);

struct TokenNeed {
  uint64_t slots = 0;
  uint64_t tokens = 0;
  std::optional<uint64_t> prompt_tokens;  // of a single prompt, where it could be counted
};

// At most `context` tokens for each answer; asks the model's llama-server at `socket_path` how long the prompts are.
// `default_tokens`: of an answer whose request names no limit; none: no limit.
Task<TokenNeed> NeededTokens(std::string socket_path, std::string path, std::string body, uint64_t context,
                             std::optional<uint64_t> default_tokens);

// A limit in the words of the path's API, where the body of a request that generates names none at all; else the body
// as it is. One who says that there is no limit (-1) keeps that. Pure.
std::string WithAnswerLimit(std::string_view path, std::string body, uint64_t tokens);

}  // namespace headrace::serve
