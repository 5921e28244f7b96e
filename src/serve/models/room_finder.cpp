#include "serve/models/room_finder.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "base/size.h"
#include "memory/available.h"
#include "serve/models/device_room.h"

namespace headrace::serve {

Task<MemoryRoom> RoomFinder::Find(const LoadedModels& models, std::vector<std::string> gone,
                                  std::chrono::seconds devices_age) {
  MemoryRoom room;
  DeviceHolders holders;
  uint64_t promised = 0, freed = 0;
  for (const auto& [id, model] : models) {
    const uint64_t held = model->HeldBytes();
    const auto& engine = model->plan().memory().engine;
    const auto there = engine ? engine->devices : std::vector<cli::DeviceMemory>();
    const auto add_to = [&](std::vector<cli::DeviceMemory>& list) {
      list.insert(list.end(), there.begin(), there.end());
    };
    if (std::find(gone.begin(), gone.end(), id) != gone.end()) {
      freed += held;
      if (held > 0) add_to(holders.going);
    } else {
      promised += model->UnusedBytes();
      room.granted_bytes += model->plan().granted_bytes;
      add_to(holders.staying);
      if (held == 0) add_to(holders.waiting);
    }
  }
  const auto now = Clock::now();
  const bool look = devices_seen_at_ == Clock::time_point::min() || now - devices_seen_at_ > devices_age;
  std::vector<cli::Device> devices;
  cli::ReachedWorkers workers;
  const auto links = workers_.links;
  co_await OnWorker(worker_, [&] {
    room.available = FindAvailableMemory(ReadTextFile, ReadAddressLimits());
    if (!look) return;
    // What can be wrong with them was said at the start.
    if (auto reached = cli::ReachWorkers(settings_.workers, settings_.engine.engine, 0, links); reached.ok())
      workers = std::move(*reached);
    devices = workers.devices
                  ? *workers.devices
                  : cli::FindDevices(settings_.engine.engine, cli::Joined(workers.arguments, settings_.rest));
  });
  if (look) {
    devices_ = std::move(devices);
    devices_seen_at_ = now;
    for (const auto& [name, line] : workers.missing) {
      if (!workers_.missing.contains(name)) LogWarning(line);
    }
    workers_ = std::move(workers);
  }
  room.workers = workers_.arguments;
  room.devices = DevicesLeft(devices_, holders);
  room.granted_devices = std::move(holders.staying);
  room.available.bytes += freed;
  room.available.bytes -= std::min(room.available.bytes, promised);
  if (promised > 0) room.available.limited_by += fmt::format(", less {} for other models", FormatSize(promised));
  co_return room;
}

}  // namespace headrace::serve
