#include "base/whole_disk.h"

#include <sys/sysmacros.h>

#include <filesystem>

#include <fmt/format.h>

namespace headrace {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLayers = 8;  // of volumes on volumes; sysfs has no circles

void AddDisks(const fs::path& device, int layers, std::set<std::string>& disks) {
  std::error_code error;
  bool carried = false;
  for (const auto& carrier : fs::directory_iterator(device / "slaves", error)) {
    const fs::path below = fs::canonical(carrier.path(), error);
    if (error || layers == 0) continue;
    carried = true;
    AddDisks(below, layers - 1, disks);
  }
  if (carried) return;
  const bool partition = fs::exists(device / "partition", error);
  disks.insert((partition ? device.parent_path() : device).filename().string());
}

fs::path InSysfs(dev_t device, const std::string& sys, std::error_code& error) {
  return fs::canonical(fs::path(sys) / fmt::format("dev/block/{}:{}", major(device), minor(device)), error);
}

}  // namespace

std::set<std::string> DisksOf(dev_t device, const std::string& sys) {
  std::set<std::string> disks;
  std::error_code error;
  const fs::path path = InSysfs(device, sys, error);
  if (!error) AddDisks(path, kMostLayers, disks);
  return disks;
}

std::string SharedDisk(dev_t one, dev_t other, const std::string& sys) {
  const std::set<std::string> disks = DisksOf(one, sys), others = DisksOf(other, sys);
  for (const std::string& disk : disks) {
    if (others.contains(disk)) return disk;
  }
  return one == other ? NameOfDevice(one, sys) : "";
}

std::string NameOfDevice(dev_t device, const std::string& sys) {
  std::error_code error;
  const fs::path path = InSysfs(device, sys, error);
  return error ? fmt::format("drive {}:{}", major(device), minor(device)) : path.filename().string();
}

}  // namespace headrace
