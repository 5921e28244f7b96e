// What of a planned model goes on devices, of what other models leave there.
#pragma once

#include "base/status.h"
#include "serve/models/load_plan.h"

namespace headrace::serve {

// Memory of devices that a model may have.
struct DeviceLimit {
  cli::VramLimit limit;
  bool of_all = false;  // it is the server's, for all models together
};

// Fills plan.device_options. Where what was asked for cannot be had plan.placed says so, and nothing is there.
Status SettleDevices(const Settings& settings, Simulations& simulations, const MemoryRoom& room,
                     const DeviceLimit& given, LoadPlan& plan);

}  // namespace headrace::serve
