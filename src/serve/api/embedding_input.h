// Texts whose embeddings are asked for, cut to what a model takes where the client lets us.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "http/net.h"

namespace headrace::serve {

// The tokens of a text cut to `most` in all: its beginning, between what the engine puts around a text. `whole` are its
// tokens with that, `plain` those without. Pure.
std::vector<int64_t> CutTokens(const std::vector<int64_t>& whole, const std::vector<int64_t>& plain, uint64_t most);

// The texts as an "input" for the llama-server at `socket_path`: one that has more than `most` tokens as its first
// ones. 0: any number. Errors: kInvalidArgument for such a text unless `cut`; those of TokensOf.
Task<Result<Json>> InputsThatFit(std::string socket_path, std::vector<std::string> texts, uint64_t most, bool cut);

}  // namespace headrace::serve
