#include "base/config.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/size.h"

namespace headrace {
namespace {

constexpr const char* kFlashMode = "HEADRACE_FLASH_MODE";
constexpr const char* kRam = "HEADRACE_RAM";
constexpr const char* kWeightsRam = "HEADRACE_WEIGHTS_RAM";
constexpr const char* kRest = "HEADRACE_REST";
constexpr const char* kKernels = "HEADRACE_KERNELS";
constexpr const char* kKvDir = "HEADRACE_KV_DIR";
constexpr const char* kKvRam = "HEADRACE_KV_RAM";
constexpr const char* kKvDiskMax = "HEADRACE_KV_DISK_MAX";
constexpr const char* kMirror = "HEADRACE_MIRROR";
constexpr const char* kDebug = "HEADRACE_DEBUG";
constexpr const char* kSnapshot = "HEADRACE_SNAPSHOT";
constexpr const char* kTrace = "HEADRACE_TRACE";
constexpr const char* kLock = "HEADRACE_LOCK";
constexpr const char* kLookAhead = "HEADRACE_LOOK_AHEAD";
constexpr const char* kRemember = "HEADRACE_REMEMBER";
constexpr const char* kReader = "HEADRACE_READER";
constexpr const char* kDisk = "HEADRACE_DISK";
constexpr const char* kFault = "HEADRACE_FAULT";

Status Invalid(const char* variable, const char* value, const char* expected) {
  return Status(Code::kInvalidArgument, fmt::format("{}={} is not understood: write {}", variable, value, expected));
}

}  // namespace

std::optional<FlashMode> ParseFlashMode(const std::string& text) {
  if (text == "off") return FlashMode::kOff;
  if (text == "auto") return FlashMode::kAuto;
  if (text == "on") return FlashMode::kOn;
  return std::nullopt;
}

std::optional<Kernels> ParseKernels(const std::string& text) {
  if (text == "auto") return Kernels::kAuto;
  if (text == "plain") return Kernels::kPlain;
  if (text == "repack") return Kernels::kRepack;
  return std::nullopt;
}

const char* ToString(FlashMode mode) {
  return mode == FlashMode::kOff ? "off" : mode == FlashMode::kAuto ? "auto" : "on";
}

const char* ToString(Kernels kernels) {
  return kernels == Kernels::kAuto ? "auto" : kernels == Kernels::kPlain ? "plain" : "repack";
}

Result<uint64_t> ParseRam(const std::string& name, const std::string& text, bool may_be_auto) {
  if (may_be_auto && text == "auto") return Config::kAutomatic;
  const auto bytes = ParseSize(text);
  if (!bytes.ok()) return Status(bytes.status().code(), fmt::format("{}: {}", name, bytes.status().message()));
  if (*bytes > 0) return *bytes;
  return Status(Code::kInvalidArgument,
                fmt::format("{} {} is not understood: write a size above zero, for instance 8G{}", name, text,
                            may_be_auto ? ", or auto" : ""));
}

Result<Config> ParseConfig(const Getenv& getenv) {
  const auto get = [&](const char* name) -> const char* {
    const char* value = getenv(name);
    return value != nullptr && *value != '\0' ? value : nullptr;
  };
  Config config;
  for (const auto& [name, bytes, may_be_auto] :
       {std::tuple{kWeightsRam, &config.weights_bytes, false}, std::tuple{kRam, &config.process_bytes, true},
        std::tuple{kRest, &config.rest_bytes, false}, std::tuple{kKvRam, &config.kv_ram_bytes, false},
        std::tuple{kKvDiskMax, &config.kv_disk_max_bytes, false}}) {
    const char* text = get(name);
    if (text == nullptr) continue;
    const auto parsed = ParseRam(name, text, may_be_auto);
    if (!parsed.ok()) return parsed.status();
    *bytes = *parsed;
  }
  if (get(kWeightsRam) != nullptr && get(kRam) == nullptr) config.process_bytes = 0;
  if (get(kWeightsRam) != nullptr || get(kRam) != nullptr) config.flash_mode = FlashMode::kAuto;
  if (const char* mode = get(kFlashMode)) {
    const auto parsed = ParseFlashMode(mode);
    if (!parsed) return Invalid(kFlashMode, mode, "auto, on or off");
    config.flash_mode = *parsed;
  }
  if (const char* kernels = get(kKernels)) {
    const auto parsed = ParseKernels(kernels);
    if (!parsed) return Invalid(kKernels, kernels, "auto, plain or repack");
    config.kernels = *parsed;
  }
  if (const char* folder = get(kKvDir)) config.kv_dir = folder;
  if (const char* mirrors = get(kMirror)) {
    const std::string_view text = mirrors;
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(':', begin), text.size());
      if (end > begin) config.mirrors.emplace_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  for (const auto& [name, flag] : {std::pair{kDebug, &config.debug}, std::pair{kLock, &config.lock},
                                   std::pair{kLookAhead, &config.look_ahead}, std::pair{kRemember, &config.remember}}) {
    const char* value = get(name);
    if (value == nullptr) continue;
    const std::string text = value;
    if (text != "0" && text != "1") return Invalid(name, value, "0 or 1");
    *flag = text == "1";
  }
  if (const char* snapshot = get(kSnapshot)) config.snapshot_path = snapshot;
  if (const char* trace = get(kTrace)) config.trace_path = trace;
  if (const char* reader = get(kReader)) {
    config.reader = reader;
    if (config.reader != "auto" && config.reader != "uring" && config.reader != "pread" &&
        config.reader != "buffered") {
      return Invalid(kReader, reader, "auto, uring, pread or buffered");
    }
  }
  if (const char* fault = get(kFault)) config.faults = fault;
  if (const char* disk = get(kDisk)) {
    const auto bytes = ParseSize(disk);
    if (!bytes.ok()) return Status(bytes.status().code(), fmt::format("{}: {}", kDisk, bytes.status().message()));
    config.disk_bytes_per_s = static_cast<double>(*bytes);
  }
  return config;
}

std::vector<std::pair<std::string, std::string>> Config::ToEnvironment() const {
  std::vector<std::pair<std::string, std::string>> variables = {{kFlashMode, ToString(flash_mode)},
                                                                {kKernels, ToString(kernels)},
                                                                {kDebug, debug ? "1" : "0"},
                                                                {kLock, lock ? "1" : "0"},
                                                                {kLookAhead, look_ahead ? "1" : "0"},
                                                                {kRemember, remember ? "1" : "0"},
                                                                {kReader, reader}};
  if (process_bytes > 0)
    variables.emplace_back(kRam, process_bytes == kAutomatic ? "auto" : std::to_string(process_bytes));
  if (weights_bytes > 0) variables.emplace_back(kWeightsRam, std::to_string(weights_bytes));
  if (rest_bytes > 0) variables.emplace_back(kRest, std::to_string(rest_bytes));
  if (!kv_dir.empty()) variables.emplace_back(kKvDir, kv_dir);
  if (kv_ram_bytes > 0) variables.emplace_back(kKvRam, std::to_string(kv_ram_bytes));
  if (kv_disk_max_bytes > 0) variables.emplace_back(kKvDiskMax, std::to_string(kv_disk_max_bytes));
  if (!mirrors.empty()) variables.emplace_back(kMirror, fmt::format("{}", fmt::join(mirrors, ":")));
  if (!snapshot_path.empty()) variables.emplace_back(kSnapshot, snapshot_path);
  if (!trace_path.empty()) variables.emplace_back(kTrace, trace_path);
  if (disk_bytes_per_s > 0) variables.emplace_back(kDisk, std::to_string(static_cast<uint64_t>(disk_bytes_per_s)));
  return variables;
}

}  // namespace headrace
