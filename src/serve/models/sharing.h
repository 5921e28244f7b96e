// How the requests of one model share its passes: how many at a time, with how much KV memory, and in pieces of what
// width prompts are read. docs/server.md ("Many requests at a time") says why.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine_command_line.h"
#include "engine/engine_memory.h"
#include "plan/pass_cost.h"
#include "setup/model_setup.h"

namespace headrace::serve {

// 0 everywhere: llama-server's own choice.
struct Sharing {
  uint64_t slots = 0;         // requests at a time
  uint64_t pool_tokens = 0;   // of the KV cache that they share; the relay keeps the requests' sum below it
  uint64_t batch_tokens = 0;  // of a pass, at most
};

inline constexpr uint64_t kServersBatch = 2048;  // llama-server's own --batch-size

// Requests at a time that llama-server will be told, or its own number.
uint64_t SlotsOf(const Sharing& sharing, std::optional<uint64_t> slots, const cli::EngineArguments& rest);

// What needs no memory beyond llama-server's own default: one context, shared. `rest` are the user's own arguments,
// which go before.
Sharing LeastSharing(uint64_t context, std::optional<uint64_t> slots, const cli::EngineArguments& rest);

// The best for a model that streams, whose memory was divided with `least`. `cost` of its passes; an error: not known.
Sharing BestSharing(const Sharing& least, uint64_t context, std::optional<uint64_t> slots,
                    const cli::EngineArguments& rest, const cli::ModelSetup& model, cli::EngineSimulation& simulation,
                    const Result<PassCost>& cost);

}  // namespace headrace::serve
