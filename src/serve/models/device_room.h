// What of the engine's devices a model that is loaded now could have. Pure.
#pragma once

#include <vector>

#include "engine/devices.h"
#include "engine/engine_memory.h"

namespace headrace::serve {

// What other models have there.
struct DeviceHolders {
  std::vector<cli::DeviceMemory> staying;  // of all that stay
  std::vector<cli::DeviceMemory> waiting;  // of these: whose process does not run now, and will take it again
  std::vector<cli::DeviceMemory> going;    // that end before, and hold it still
};

// `devices` as they are now, each with what is free for that model. Some drivers say that all is free whatever is in
// use: what stays there is left out in any case.
std::vector<cli::Device> DevicesLeft(std::vector<cli::Device> devices, const DeviceHolders& others);

}  // namespace headrace::serve
