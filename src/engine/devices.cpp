#include "engine/devices.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "base/config.h"
#include "base/shown.h"
#include "base/size.h"
#include "engine/engine_probe.h"
#include "process/capture.h"
#include "process/process_start.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;

// Backends that compute on the processor, and what is no backend.
constexpr const char* kProcessorLibraries[] = {"libggml-base", "libggml-cpu", "libggml-blas", "libggml-rpc"};
// Names of what has no memory of its own. Only cards that are their own have a number behind "Arc".
constexpr const char* kSoftware[] = {"llvmpipe", "SwiftShader", "softpipe", "Tegra", "Orin", "GB10", "Thor"};

// What a worker's allocations are rounded up by.
constexpr uint64_t kWorkerMarginPart = 64;

std::optional<uint64_t> Number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return number;
}

// "  CUDA0: NVIDIA H100 (81089 MiB, 80570 MiB free)".
std::optional<Device> ParseDevice(std::string_view line) {
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
  constexpr std::string_view kFree = " MiB free)", kTotal = " MiB, ";
  if (!line.starts_with("  ") || !line.ends_with(kFree)) return std::nullopt;
  line.remove_prefix(line.find_first_not_of(' '));
  const size_t colon = line.find(": "), open = line.rfind(" (");
  if (colon == std::string_view::npos || open == std::string_view::npos || open < colon) return std::nullopt;
  const std::string_view sizes = line.substr(open + 2);
  const size_t middle = sizes.find(kTotal);
  if (middle == std::string_view::npos) return std::nullopt;
  const auto total = Number(sizes), left = Number(sizes.substr(middle + kTotal.size()));
  if (!total || !left || *total > UINT64_MAX / kMiB || *left > *total) return std::nullopt;
  Device device;
  device.name = line.substr(0, colon);
  device.description = line.substr(std::min(colon + 2, open), open - std::min(colon + 2, open));
  device.total_bytes = *total * kMiB;
  device.free_bytes = *left * kMiB;
  device.remote = device.name.starts_with("RPC");
  device.shares_memory = !device.remote && SharesMemory(device.description);
  return device;
}

// MiB for each device: one number for all, or a list.
uint64_t MarginOf(const EngineArguments& arguments, size_t device) {
  const auto text = arguments.Value(OptionId::kFitMargin);
  if (!text) return kDeviceMargin * kMiB;
  std::string_view rest = *text;
  std::string_view field = rest.substr(0, rest.find(','));
  for (size_t i = 0; i < device && rest.find(',') != std::string_view::npos; ++i) {
    rest.remove_prefix(rest.find(',') + 1);
    field = rest.substr(0, rest.find(','));
  }
  return Number(field).value_or(kDeviceMargin) * kMiB;
}

// What a program of the engine prints about its devices, with --rpc as in `arguments`; "" where none can be asked.
std::string ListDevices(const Engine& engine, const EngineArguments& arguments, const Environment& environment) {
  std::vector<std::string> words;
  if (const auto servers = arguments.Value(OptionId::kRemote)) words = {"--rpc", *servers};
  words.emplace_back("--list-devices");
  for (const char* name : {"llama-bench", "llama-cli", "llama-completion", "llama-server"}) {
    const auto program = LocateProgram(name, &engine, SearchPaths());
    if (!program.ok()) continue;
    auto output = Capture(*program, words, false, environment);
    if (output.ok() && output->exit_status == 0) return std::move(output->output);
    if (output.ok() && output->signal == SIGKILL) break;  // a driver that hangs holds the others up as well
  }
  return "";
}

}  // namespace

bool SharesMemory(std::string_view description) {
  const auto has = [&](std::string_view part) { return description.find(part) != std::string_view::npos; };
  if (std::any_of(std::begin(kSoftware), std::end(kSoftware), has)) return true;
  if (!has("Graphics") || has("Radeon RX") || has("Radeon PRO") || has("Radeon Pro")) return false;
  const size_t arc = description.find("Arc");
  if (arc == std::string_view::npos) return true;
  // "Arc(tm) A770 Graphics", "Arc B580 Graphics"; "Arc(tm) Graphics" is a part of a processor.
  const size_t model = description.find_first_of(" ", arc);
  return model == std::string_view::npos || model + 2 >= description.size() || description[model + 2] < '0' ||
         description[model + 2] > '9';
}

std::vector<Device> ParseDevices(std::string_view output) {
  std::vector<Device> devices;
  while (!output.empty()) {
    const size_t end = std::min(output.find('\n'), output.size());
    if (auto device = ParseDevice(output.substr(0, end)); device && device->total_bytes > 0)
      devices.push_back(std::move(*device));
    output.remove_prefix(std::min(end + 1, output.size()));
  }
  return devices;
}

bool IsDeviceLibrary(std::string_view file_name) {
  if (!file_name.starts_with("libggml-") || file_name.find(".so") == std::string_view::npos) return false;
  return std::none_of(std::begin(kProcessorLibraries), std::end(kProcessorLibraries), [&](std::string_view name) {
    // "libggml-cpu-haswell.so" and "libggml-cpu.so.0", not "libggml-cpux.so".
    return file_name.starts_with(name) && file_name.size() > name.size() &&
           (file_name[name.size()] == '.' || file_name[name.size()] == '-');
  });
}

namespace {

// Whether there is a library of that kind where the engine looks for its backends.
bool HasLibrary(const Engine& engine, bool (*is_one)(std::string_view file_name)) {
  std::error_code error;
  std::vector<fs::path> folders = {engine.bin_dir};
  if (const std::string library = FindGgmlLibrary(engine); !library.empty()) {
    const fs::path folder = fs::path(library).parent_path();
    folders.push_back(folder);
    // Debian's, and what a build can be told.
    for (const auto& entry : fs::directory_iterator(folder / "ggml", error)) {
      if (entry.path().filename().string().starts_with("backends")) folders.push_back(entry.path());
    }
  }
  for (const fs::path& folder : folders) {
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (is_one(entry.path().filename().string())) return true;
    }
  }
  return false;
}

bool IsRpcLibrary(std::string_view file_name) {
  return file_name.starts_with("libggml-rpc") && file_name.find(".so") != std::string_view::npos;
}

// The one more library that the engine loads, "" for none.
std::string_view NamedLibrary() {
  const char* path = std::getenv("GGML_BACKEND_PATH");
  return path == nullptr ? "" : path;
}

}  // namespace

bool MayHaveDevices(const Engine& engine, const EngineArguments& arguments) {
  return !NamedLibrary().empty() || arguments.Value(OptionId::kRemote) || HasLibrary(engine, IsDeviceLibrary);
}

bool HasRpcBackend(const Engine& engine) {
  const std::string_view named = NamedLibrary();
  return IsRpcLibrary(named.substr(named.rfind('/') + 1)) || HasLibrary(engine, IsRpcLibrary);
}

std::vector<Device> QueryDevices(const Engine& engine, const EngineArguments& arguments) {
  return ParseDevices(ListDevices(engine, arguments, {}));
}

MeasuredDevices MeasureDevices(const Engine& engine, const std::string& library, const EngineArguments& arguments) {
  const std::string preload = PreloadValue(std::getenv("LD_PRELOAD"), library);
  const std::string output = ListDevices(engine, arguments, {{"LD_PRELOAD", preload}, {kCopySpeedVariable, "1"}});
  return {ParseDevices(output), ParseCopySpeeds(output)};
}

std::vector<Device> FindDevices(const Engine& engine, const EngineArguments& arguments) {
  return MayHaveDevices(engine, arguments) ? QueryDevices(engine, arguments) : std::vector<Device>();
}

Result<VramLimit> ParseVram(const std::string& name, const std::string& text) {
  VramLimit limit;
  limit.origin = name;
  if (text == "auto") return limit;
  limit.mode = VramLimit::Mode::kOff;
  if (text == "off") return limit;
  const auto bytes = ParseSize(text);
  if (!bytes.ok())
    return Status(bytes.status().code(), fmt::format("{}: {}, or auto or off", name, bytes.status().message()));
  if (*bytes == 0) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} {} is not understood: write a size above zero, for instance 8G, or auto or off", name,
                              Shown(text)));
  }
  limit.mode = VramLimit::Mode::kSize;
  limit.bytes = *bytes;
  return limit;
}

Result<std::vector<uint64_t>> DeviceRooms(const VramLimit& limit, const std::vector<Device>& devices,
                                          const EngineArguments& arguments) {
  std::vector<uint64_t> rooms(devices.size(), 0);
  std::vector<Device> own;
  for (size_t i = 0; i < devices.size(); ++i) {
    if (devices[i].remote) {
      rooms[i] = devices[i].free_bytes - devices[i].free_bytes / kWorkerMarginPart;
    } else {
      own.push_back(devices[i]);
    }
  }
  if (own.size() < devices.size() && !(limit.named() && own.empty())) {
    const auto others = DeviceRooms(limit, own, arguments);
    if (!others.ok()) return others;
    for (size_t i = 0, next = 0; i < devices.size(); ++i) {
      if (!devices[i].remote) rooms[i] = (*others)[next++];
    }
    return rooms;
  }
  if (limit.mode == VramLimit::Mode::kOff) return rooms;
  if (limit.mode == VramLimit::Mode::kAuto) {
    for (size_t i = 0; i < devices.size(); ++i) {
      const uint64_t margin = MarginOf(arguments, i);
      if (!devices[i].shares_memory) rooms[i] = devices[i].free_bytes - std::min(margin, devices[i].free_bytes);
    }
    return rooms;
  }
  if (own.empty()) {
    return Status(Code::kInvalidArgument, fmt::format("{} {}: this llama.cpp has no device here; leave it out, or see "
                                                      "`headrace doctor` for what the engine finds (a driver and the "
                                                      "engine's library for it are needed)",
                                                      limit.origin, FormatSize(limit.bytes)));
  }
  const uint64_t free = std::accumulate(devices.begin(), devices.end(), uint64_t{0},
                                        [](uint64_t sum, const Device& device) { return sum + device.free_bytes; });
  if (limit.bytes > free) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} {} is more than is free on {}: {}; give less, or {} auto", limit.origin,
                              FormatSize(limit.bytes),
                              devices.size() == 1 ? devices[0].name : fmt::format("{} devices", devices.size()),
                              FormatSize(free), limit.origin));
  }
  for (size_t i = 0; i < devices.size(); ++i) {
    rooms[i] = static_cast<uint64_t>(static_cast<double>(limit.bytes) *
                                     (static_cast<double>(devices[i].free_bytes) / static_cast<double>(free)));
  }
  return rooms;
}

}  // namespace headrace::cli
