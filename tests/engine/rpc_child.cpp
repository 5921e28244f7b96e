#include "devices.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include "child.h"
#include "models.h"

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

constexpr int kStartMilliseconds = 20000;

}  // namespace

Device VulkanDevice() {
  Device device = BackendDevice("vulkan");
  const std::string driver = FileIn("/usr/share/vulkan/icd.d", "lvp_icd", ".json");
  if (driver.empty() && device.missing.empty()) device.missing = "no software Vulkan device: install mesa-vulkan-drivers";
  device.environment.insert({{"VK_DRIVER_FILES", driver}, {"GGML_VK_VISIBLE_DEVICES", "0"},
                             // What it compiles is kept for the next process.
                             {"MESA_SHADER_CACHE_DIR", std::string(HEADRACE_TEST_CACHE) + "/shaders"}});
  return device;
}

Device BlasDevice() { return BackendDevice("blas"); }

Device RpcDevice() { return BackendDevice("rpc"); }

RpcServer::RpcServer() {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0) {
    error_ = strerror(errno);
    return;
  }
  const Descriptor read_end(in[0]);
  input_ = Descriptor(in[1]);
  if (pipe2(out, O_CLOEXEC) != 0) {
    error_ = strerror(errno);
    return;
  }
  output_ = Descriptor(out[0]);
  const Descriptor write_end(out[1]);

  std::vector<std::string> variables = {"GGML_NO_BACKTRACE=1", "OMP_WAIT_POLICY=passive"};
  for (const auto& [name, value] : RpcDevice().environment) variables.push_back(name + "=" + value);
  if (const char* path = getenv("PATH")) variables.push_back(std::string("PATH=") + path);
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  std::string program = HEADRACE_RPC_SERVER;
  char* const arguments[] = {program.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, read_end.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  const int failure = posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments, environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) {
    process_ = -1;
    error_ = program + ": " + strerror(failure);
    return;
  }

  // The engine's server says other things beside.
  constexpr const char* kSays = "rpc_server: port ";
  std::string said;
  const auto port = [&] { return Lines(said.substr(0, said.rfind('\n') + 1), kSays); };
  while (port().empty()) {
    pollfd ready{output_.get(), POLLIN, 0};
    char bytes[512];
    const ssize_t size = poll(&ready, 1, kStartMilliseconds) == 1 ? read(output_.get(), bytes, sizeof bytes) : -1;
    if (size <= 0) {
      error_ = "the RPC server did not start; it said: " + said;
      return;
    }
    said.append(bytes, static_cast<size_t>(size));
  }
  endpoint_ = "127.0.0.1:" + port().front().substr(std::strlen(kSays));
}

RpcServer::~RpcServer() {
  input_ = Descriptor();
  if (process_ > 0) waitpid(process_, nullptr, 0);
}

}  // namespace headrace::testing
