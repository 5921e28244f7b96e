// How many tokens the prompts of a request are, as the engine counts them.
#pragma once

#include <optional>
#include <string>

#include "batch/request.h"
#include "http/net.h"

namespace headrace::batch {

// Nullopt where the engine cannot tell; it then cannot answer either, as a rule. Costs no pass over the weights.
serve::Task<std::optional<uint64_t>> CountTokens(std::string socket_path, Request request);

}  // namespace headrace::batch
