// Files beside the model that shape what it computes: LoRA adapters and control vectors among llama-server's arguments.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace headrace::serve {

// The paths in the values of --lora, --lora-scaled, --control-vector and --control-vector-scaled: parted by commas, "quoted" where they hold one,
// some with ":SCALE" behind them. Pure.
std::vector<std::string> ShapingFiles(const std::vector<std::string>& arguments);

// Changes with every byte of them, and with their order. Errors: kIo, kNotFound.
Result<uint64_t> HashFiles(const std::vector<std::string>& paths, uint64_t seed);

}  // namespace headrace::serve
