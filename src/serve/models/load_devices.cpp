#include "serve/models/load_devices.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/size.h"
#include "serve/models/load_command.h"
#include "setup/device_choice.h"

namespace headrace::serve {

Status SettleDevices(const Settings& settings, Simulations& simulations, const MemoryRoom& room,
                     const DeviceLimit& given, LoadPlan& plan) {
  plan.device_options.clear();
  plan.placed = Status();
  cli::VramLimit limit = given.limit;
  if (room.devices.empty()) {
    plan.placed = cli::DeviceRooms(limit, {}, {}).status();
    return {};
  }
  uint64_t others = 0;
  for (const cli::DeviceMemory& used : room.granted_devices) others += used.total_bytes();
  const bool shared = limit.named() && given.of_all && others > 0;
  if (shared) {
    limit.bytes -= std::min(limit.bytes, others);
    limit.origin += fmt::format(", less {} for other models", FormatSize(others));
  }
  const auto choose = [&](const cli::VramLimit& may) -> Status {
    plan.setup.vram = may;
    const auto arguments = CommandForMemory(settings, plan);
    if (!arguments.ok()) return arguments.status();
    auto options = cli::ChooseDevices(room.devices, settings.known, *arguments, plan.setup,
                                      simulations.Get(settings.engine.engine, plan.entry, *arguments));
    if (!may.named()) {
      if (!options.ok()) return options.status();
    } else if (plan.placed = options.status(); !options.ok()) {
      return {};
    }
    plan.device_options = std::move(*options);
    return {};
  };
  if (limit.named() && limit.bytes == 0) {
    plan.placed = Status(Code::kOutOfBudget, limit.origin);
  } else {
    HEADRACE_RETURN_IF_ERROR(choose(limit));
  }
  if (plan.placed.ok()) return {};
  const cli::DeviceChoice failed = plan.setup.device_choice;
  cli::VramLimit off = limit;
  off.mode = cli::VramLimit::Mode::kOff;
  HEADRACE_RETURN_IF_ERROR(choose(off));
  // Models that were there first have it; this one has memory and disk.
  if (shared && plan.placed.code() == Code::kOutOfBudget) {
    plan.setup.device_choice.reason = fmt::format("nothing of it is on devices: of {} ({}) too little is left",
                                                  FormatSize(given.limit.bytes), limit.origin);
    plan.placed = Status();
    return {};
  }
  plan.setup.vram = limit;
  plan.setup.device_choice.least_bytes = failed.least_bytes;
  plan.setup.device_choice.reason = plan.placed.message();
  return {};
}

}  // namespace headrace::serve
