// Memory, devices and workers that a model which is loaded now could have beside those that are. Lives on the loop.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/devices.h"
#include "http/net.h"
#include "serve/models/load_plan.h"
#include "serve/models/model.h"
#include "serve/models/settings.h"
#include "setup/workers.h"

namespace headrace::serve {

using ModelPtr = std::shared_ptr<Model>;
using LoadedModels = std::map<std::string, ModelPtr>;  // by id

// All arguments outlive it, and it outlives every coroutine that it started.
class RoomFinder {
 public:
  RoomFinder(asio::thread_pool& worker, const Settings& settings) : worker_(worker), settings_(settings) {}

  // What is left when the models `gone` are. Devices are looked at again where that was longer ago than `devices_age`.
  // `models` are looked at before the first wait.
  Task<MemoryRoom> Find(const LoadedModels& models, std::vector<std::string> gone, std::chrono::seconds devices_age);
  // What was seen of them is no longer so.
  void LookAtDevicesAgain() { devices_seen_at_ = Clock::time_point::min(); }

 private:
  asio::thread_pool& worker_;
  const Settings& settings_;
  std::vector<cli::Device> devices_;  // of the engine, as they were when they were looked at last
  Clock::time_point devices_seen_at_ = Clock::time_point::min();
  cli::ReachedWorkers workers_;  // at that time
};

}  // namespace headrace::serve
