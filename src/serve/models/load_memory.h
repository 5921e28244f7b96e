// The memory of a planned model by part, as the engine foretells it.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "serve/models/load_plan.h"

namespace headrace::serve {

// Divides the memory for llama-server as it would be started now: fills plan.setup and plan.enough. Errors: those of
// CommandForMemory, and of files that options name.
Status SettleMemory(const Settings& settings, Simulations& simulations, LoadPlan& plan);

// llama-server would keep 32 checkpoints of each slot's recurrent state or sliding window, which may be more than all
// the rest: a prompt that goes back to an earlier place is read from there instead of from its beginning. As many as
// the memory allows.
Status SettleCheckpoints(const Settings& settings, Simulations& simulations, LoadPlan& plan);

// That its process may come to hold. With a budget for weights beyond what they need, streaming takes no more than all
// of them and its own buffers.
uint64_t GrantedBytes(const cli::ModelSetup& setup);

}  // namespace headrace::serve
