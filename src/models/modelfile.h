// A Modelfile: which model, how it answers, and how its weights stream. The format is Ollama's (FROM, SYSTEM,
// PARAMETER, comments, quotes, triple quotes over several lines) with the keywords FLASH and FLASH_*. Pure, for hostile
// input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "base/status.h"

namespace headrace::cli {

// An option of the engine's programs: the first name that the program knows is used.
struct EngineOption {
  std::vector<const char*> names;
  std::string value;
};

struct Modelfile {
  std::string from;                     // as written, "" when absent
  std::string adapter;                  // LoRA, as written
  std::string system;                   // system prompt
  std::vector<EngineOption> options;    // of PARAMETER, in order; only stop strings come more than once
  std::optional<FlashMode> flash_mode;  // FLASH
  double flash_ram_gb = 0;              // memory for weights in GiB; 0: not given
  std::string flash_vram;               // memory of devices: "8.000000G", "auto", "off"; "" when not given
  std::optional<bool> look_ahead;       // FLASH_PREFETCH_LAYERS
  uint64_t experts_used = 0;            // FLASH_TOP_K: experts for each token; 0: the model's own
  std::vector<std::string> settings;    // what was set, for people: "FLASH on", "temperature 0.7"
  std::vector<std::string> warnings;    // "NAME:LINE: ..." of what is left out
};

// Errors: kInvalidArgument with `name` and the line, saying what to write instead.
Result<Modelfile> ParseModelfile(std::string_view text, const std::string& name);

// A longer file is no Modelfile.
inline constexpr uint64_t kMostModelfileBytes = 1 << 20;

}  // namespace headrace::cli
