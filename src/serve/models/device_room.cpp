#include "serve/models/device_room.h"

#include <algorithm>
#include <string>

namespace headrace::serve {
namespace {

uint64_t On(const std::string& device, const std::vector<cli::DeviceMemory>& list) {
  uint64_t bytes = 0;
  for (const cli::DeviceMemory& used : list) {
    if (used.name == device) bytes += used.total_bytes();
  }
  return bytes;
}

uint64_t Less(uint64_t bytes, uint64_t part) { return bytes - std::min(bytes, part); }

}  // namespace

std::vector<cli::Device> DevicesLeft(std::vector<cli::Device> devices, const DeviceHolders& others) {
  for (cli::Device& device : devices) {
    const uint64_t free = Less(device.free_bytes + On(device.name, others.going), On(device.name, others.waiting));
    device.free_bytes = std::min(free, Less(device.total_bytes, On(device.name, others.staying)));
  }
  return devices;
}

}  // namespace headrace::serve
