// Writes a described model to disk: random weights at the disk's speed, or a sparse file of holes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "gguf_writer.h"

namespace headrace::bench {

struct WriteOptions {
  uint64_t seed = 1;
  unsigned threads = 0;                                       // 0: one per CPU
  bool sparse = false;                                        // weights are holes: they read as zeros
  bool replace = false;                                       // an existing file
  const std::atomic<bool>* cancel = nullptr;                  // stop soon after it becomes true; may be null
  std::function<void(uint64_t done, uint64_t all)> progress;  // called by the calling thread; may be empty
};

// Writes to a temporary name beside `path` and renames it at the end: there is never half a model under
// `path`, and nothing is left after an error. Returns the file's size. Errors: kInvalidArgument (exists,
// directory), kNotFound, kPermission, kOutOfBudget (not enough free disk), kIo, kCancelled.
Result<uint64_t> WriteModel(const std::string& path, const GgufWriter& model, const WriteOptions& options);

}  // namespace headrace::bench
