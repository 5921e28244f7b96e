// What a prompt is to the engine, asked of a model's llama-server at `socket_path`. Costs no pass over the weights.
// Errors: those of AskChild, and of RefusalOf.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "http/net.h"

namespace headrace::serve {

// The text that a chat becomes; `body` is that of a request for its answer.
Task<Result<std::string>> ChatText(std::string socket_path, std::string body);

// Tokens of a text as a prompt, with what the engine puts before it.
Task<Result<uint64_t>> CountTokens(std::string socket_path, std::string text);

// The text's tokens, with what the engine puts around a text where `whole`.
Task<Result<std::vector<int64_t>>> TokensOf(std::string socket_path, std::string text, bool whole);

// Tokens of the prompt that `body`, a request of another API, becomes: asked at that API's own path for it.
Task<Result<uint64_t>> CountInput(std::string socket_path, const char* path, std::string body);

// The text token by token as the engine would print them, without what it puts before it: some vocabularies have a
// blank before the first word. A piece may be a part of a character.
Task<Result<std::vector<std::string>>> TokenPieces(std::string socket_path, std::string text);

}  // namespace headrace::serve
