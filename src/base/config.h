// What the user asked of flash weight streaming: one struct, parsed once. The headrace command hands it
// to the library, which lives in another program, through environment variables.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace headrace {

enum class FlashMode {
  kOff,   // never stream: the library stays passive
  kAuto,  // stream a model that is larger than the budget
  kOn,    // stream every model
};

// Which ggml kernels multiply streamed and resident weights. Plain and repacked kernels round
// differently, as stock llama.cpp does between --repack 0 and 1.
enum class Kernels {
  kAuto,    // for each batch and type of weights what is faster here, as measured
  kPlain,   // the bits of stock --repack 0
  kRepack,  // the bits of stock --repack 1
};

struct Config {
  static constexpr uint64_t kAutomatic = UINT64_MAX;

  FlashMode flash_mode = FlashMode::kOff;
  // Memory for the whole process; kAutomatic: what is available when the first model is loaded, without a margin
  // (memory/available.h); 0: weights_bytes is the only limit.
  uint64_t process_bytes = kAutomatic;
  uint64_t weights_bytes = 0;  // memory for weights: resident share, ring and scratch. 0: what the process's
                               // limit leaves
  uint64_t rest_bytes = 0;     // foretold use of the process beside weights; 0: only measured
  Kernels kernels = Kernels::kAuto;
  bool debug = false;         // say what was decided, on standard error
  std::string kv_dir;         // folder for KV caches larger than the memory meant for them, "" for none
  uint64_t kv_ram_bytes = 0;  // with a folder: memory for KV caches, all together; 0: a quarter of the process's limit
  uint64_t kv_disk_max_bytes = 0;    // most that KV caches may take of the disk; 0: what is free
  std::vector<std::string> mirrors;  // copies of models on other drives, or folders of them (io/mirror_copy.h)
  std::string snapshot_path;         // file for the telemetry snapshot, "" for none
  std::string trace_path;            // file for the routers' choices (experts/router_trace.h), "" for none
  bool lock = false;                 // lock the memory of weights, so that it is never swapped
  bool look_ahead = true;       // read the experts that the next layer will probably choose (exec/router_foresight.h)
  bool remember = true;         // keep which experts are popular for the next run (experts/heat_file.h)
  std::string reader = "auto";  // auto, uring, pread; "buffered" is pread without O_DIRECT
  std::string faults;           // reads that are to go wrong, for tests (io/faulty_reader.h); "" for none
  double disk_bytes_per_s = 0;  // measured disk profile for kernels auto; 0: unknown

  // The memory for KV caches in a process with this limit.
  uint64_t KvRam(uint64_t process_limit_bytes) const {
    return kv_ram_bytes > 0 ? kv_ram_bytes : process_limit_bytes / 4;
  }

  // Whether the library has anything to do.
  bool wants_library() const { return flash_mode != FlashMode::kOff || !kv_dir.empty(); }

  // The environment variables that carry this configuration, as {name, value}.
  std::vector<std::pair<std::string, std::string>> ToEnvironment() const;
};

// HEADRACE_FLASH_MODE, HEADRACE_RAM (a size or auto), HEADRACE_WEIGHTS_RAM, HEADRACE_REST, HEADRACE_KERNELS,
// HEADRACE_KV_DIR, HEADRACE_KV_RAM, HEADRACE_KV_DISK_MAX, HEADRACE_MIRROR (paths with : between them), HEADRACE_DEBUG,
// HEADRACE_LOCK, HEADRACE_SNAPSHOT, HEADRACE_TRACE, HEADRACE_LOOK_AHEAD, HEADRACE_REMEMBER, HEADRACE_READER,
// HEADRACE_DISK, HEADRACE_FAULT. Without HEADRACE_FLASH_MODE and either RAM the mode is off; with one of these alone it
// is auto. Errors: kInvalidArgument naming the variable and its value.
using Getenv = std::function<const char*(const char*)>;
Result<Config> ParseConfig(const Getenv& getenv);

// The bytes of a size above zero, or of "auto" kAutomatic. Errors: kInvalidArgument naming `name` and the value.
Result<uint64_t> ParseRam(const std::string& name, const std::string& text, bool may_be_auto);
std::optional<FlashMode> ParseFlashMode(const std::string& text);
std::optional<Kernels> ParseKernels(const std::string& text);
const char* ToString(FlashMode mode);
const char* ToString(Kernels kernels);

}  // namespace headrace
