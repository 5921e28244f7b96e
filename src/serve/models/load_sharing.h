// How the requests of a planned model share its passes.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "serve/models/load_devices.h"
#include "serve/models/load_plan.h"

namespace headrace::serve {

// The longest input of an embedding or a reranking that the context, and options after --, leave.
uint64_t LongestInput(const Settings& settings, const LoadPlan& plan);
// Inputs of embeddings and rerankings are as long as the memory lets a pass be wide, and where weights stream many of
// them share a pass.
Status SettleInputs(const Settings& settings, Simulations& simulations, LoadPlan& plan);

// Requests that generate, where it streams. Many at a time have a KV cache that takes weights' place on devices: at
// most a quarter of them goes for it.
Status SettleSharing(const Settings& settings, Simulations& simulations, const MemoryRoom& room,
                     const DeviceLimit& limit, LoadPlan& plan);

}  // namespace headrace::serve
