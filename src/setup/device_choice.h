// What of a model goes on the engine's devices, chosen before anything is started: what every token uses first, then
// whole layers, as much as the devices' memory holds. A user's own options for it are left alone, and planned with.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine_memory.h"
#include "engine/engine_probe.h"
#include "models/modelfile.h"
#include "setup/model_setup.h"

namespace headrace::cli {

// The options for the engine's program, `known` to it, beside `arguments`, which are all that it is given otherwise,
// with the model among them. Fills model.devices and model.device_choice. Where there is no device, or the user chose,
// there are none. An engine without a library for devices is not asked; another one some tenths of a second. With
// --vram off, and where no device may be used, they say so. Errors: kInvalidArgument for --vram SIZE without a device,
// or more than is free; kOutOfBudget with the arithmetic where it is less than the least that works.
Result<std::vector<EngineOption>> ChooseDevices(const Engine* engine, const OptionNames& known,
                                                const EngineArguments& arguments, ModelSetup& model,
                                                std::optional<Result<EngineSimulation>>& simulation);
// The same with devices that were asked for before, and a simulation that was prepared for these arguments. Writes no
// line.
Result<std::vector<EngineOption>> ChooseDevices(const std::vector<Device>& devices, const OptionNames& known,
                                                const EngineArguments& arguments, ModelSetup& model,
                                                Result<EngineSimulation>& simulation);

// "Vulkan0 has 5.00 GiB of weights (all layers but the experts of the first 20), KV cache 1.00 GiB, buffers 200 MiB,
// of 8.00 GiB (--vram)", or why devices have nothing; "" where there is nothing to say. After SettleMemory.
std::string DescribeDevices(const ModelSetup& model);
// "CUDA0", of a worker's also where it is: "RPC0 (192.168.1.5:50052)".
std::string DeviceTitle(const std::vector<Device>& devices, const std::string& name);

}  // namespace headrace::cli
