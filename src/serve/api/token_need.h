// How many tokens of the KV cache a request can come to need.
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
  };
  Prompts prompts = Prompts::kUnknown;
  std::vector<std::string> texts;  // of kTexts; those that came as tokens are counted in `prompt_tokens`
  uint64_t prompt_tokens = 0;
  uint64_t sequences = 1;                 // answers that are made at the same time
  std::optional<uint64_t> answer_tokens;  // of each at most; none: until the model ends
};

// Nullopt for a path that generates nothing. A body that is not understood is of kUnknown prompts. Pure.
std::optional<GenerationRequest> ParseGeneration(std::string_view path, const std::string& body);

// At most `context` tokens for each answer; asks the model's llama-server at `socket_path` how long the prompts are.
// `default_tokens`: of an answer whose request names no limit; none: no limit.
Task<uint64_t> NeededTokens(std::string socket_path, std::string path, std::string body, uint64_t context,
                            std::optional<uint64_t> default_tokens);

}  // namespace headrace::serve
