// Which experts each layer of each narrow pass (decode) chose, in a file: for choosing the cache's policy by
// replaying real choices. 2 bytes for each choice.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace headrace {

// One layer of one pass.
struct RouterStep {
  uint32_t layer = 0;             // number in the cache
  std::vector<uint32_t> experts;  // each once
  friend bool operator==(const RouterStep&, const RouterStep&) = default;
};

// File format, little-endian: "HRTRACE1", then for each step u16 layer, u16 count, count times u16 expert.
class RouterTraceWriter {
 public:
  // Creates or empties the file. Errors: kIo, kPermission.
  static Result<std::unique_ptr<RouterTraceWriter>> Create(const std::string& path);
  ~RouterTraceWriter();
  RouterTraceWriter(const RouterTraceWriter&) = delete;
  RouterTraceWriter& operator=(const RouterTraceWriter&) = delete;

  // Buffered. Layers and experts from 65536 on are left out.
  void Write(uint32_t layer, std::span<const uint32_t> experts);

 private:
  explicit RouterTraceWriter(std::FILE* file) : file_(file) {}
  std::FILE* file_;
};

// Errors: kNotFound, kPermission, kIo, kCorrupt (no trace, or cut off within a step).
Result<std::vector<RouterStep>> ReadRouterTrace(const std::string& path);

}  // namespace headrace
