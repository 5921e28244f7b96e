// The devices (graphics cards) that an engine can compute on, as its own programs list them, and how much of their
// memory a model may use.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/copy_speed.h"
#include "base/status.h"
#include "engine/arguments.h"
#include "engine/engine_locator.h"

namespace headrace::cli {

struct Device {
  std::string name;         // "CUDA0": what the engine's options call it
  std::string description;  // "NVIDIA GeForce RTX 3090"
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;
  bool shares_memory = false;  // it has none of its own but the machine's (SharesMemory)
  bool remote = false;         // another machine's, a worker
};

// What --list-devices prints; those without memory (libraries on the processor) are left out. Pure.
std::vector<Device> ParseDevices(std::string_view output);

// Whether a device of this description computes with the machine's memory: parts of processors, and drivers that
// compute on the processor. The engine does not say it. Pure.
bool SharesMemory(std::string_view description);

// Whether the engine has a library for anything but the processor, or is told of one (GGML_BACKEND_PATH), or
// `arguments` name remote devices
// (--rpc): else it need not be asked. Looks into folders only.
bool MayHaveDevices(const Engine& engine, const EngineArguments& arguments);
// Whether it can use workers on other machines. Looks into folders only.
bool HasRpcBackend(const Engine& engine);
// Of the file names in a folder of backends. Pure.
bool IsDeviceLibrary(std::string_view file_name);

// Asks a program of the engine, with --rpc as in `arguments`; none where it has no device, or cannot be asked. Takes
// some tenths of a second, and half a minute at most.
std::vector<Device> QueryDevices(const Engine& engine, const EngineArguments& arguments);
struct MeasuredDevices {
  std::vector<Device> devices;
  std::vector<CopySpeed> copies;  // those that cannot be measured are left out
};
// The same, and how fast copies to each are: the program runs with the library `library`. Some seconds at most.
MeasuredDevices MeasureDevices(const Engine& engine, const std::string& library, const EngineArguments& arguments = {});
// The devices as QueryDevices finds them, where the engine may have any.
std::vector<Device> FindDevices(const Engine& engine, const EngineArguments& arguments);

// How much of the devices' memory may be used.
struct VramLimit {
  enum class Mode {
    kAuto,  // what is free, less a margin
    kOff,   // none: nothing is computed there
    kSize,
  };
  Mode mode = Mode::kAuto;
  uint64_t bytes = 0;           // of kSize, all devices together
  std::string origin = "auto";  // "--vram": who said it

  bool named() const { return mode == Mode::kSize; }
};
// A size, "auto" or "off". Errors: kInvalidArgument naming `name` and the value.
Result<VramLimit> ParseVram(const std::string& name, const std::string& text);

// Left free on each device: llama.cpp's own --fit-target.
inline constexpr uint64_t kDeviceMargin = 1024;  // MiB

// Of each device, in their order. kAuto: what is free less the margin (`arguments` may name another, -fitt), of those
// with memory of their own; a size is divided as the engine divides layers, by what is free. Workers have what they
// offer, whatever the limit says of this machine's. Errors: kInvalidArgument for a size without a device, or beyond
// what is free.
Result<std::vector<uint64_t>> DeviceRooms(const VramLimit& limit, const std::vector<Device>& devices,
                                          const EngineArguments& arguments);

}  // namespace headrace::cli
