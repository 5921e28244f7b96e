#include "device_environment.h"

#include <unistd.h>

#include <filesystem>

namespace headrace::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInstaller = "run scripts/install-devices.sh";

// The first file of a folder whose name begins and ends so; "" for none.
std::string FileIn(const char* folder, const std::string& begin, const std::string& end) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(begin) && name.ends_with(end)) return entry.path();
  }
  return "";
}

Device BackendDevice(const char* name) {
  Device device;
  const std::string file = std::string(HEADRACE_DEVICES) + "/libggml-" + name + ".so";
  if (access(file.c_str(), R_OK) != 0) device.missing = std::string("no backend ") + name + ": " + kInstaller;
  device.environment["GGML_BACKEND_PATH"] = file;
  return device;
}

}  // namespace

Device VulkanDevice() {
  Device device = BackendDevice("vulkan");
  const std::string driver = FileIn("/usr/share/vulkan/icd.d", "lvp_icd", ".json");
  if (driver.empty() && device.missing.empty())
    device.missing = "no software Vulkan device: install mesa-vulkan-drivers";
  device.environment.insert({{"VK_DRIVER_FILES", driver},
                             {"GGML_VK_VISIBLE_DEVICES", "0"},
                             // What it compiles is kept for the next process.
                             {"MESA_SHADER_CACHE_DIR", std::string(HEADRACE_TEST_CACHE) + "/shaders"}});
  return device;
}

Device BlasDevice() { return BackendDevice("blas"); }

Device RpcDevice() { return BackendDevice("rpc"); }

}  // namespace headrace::testing
