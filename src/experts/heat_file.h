// How popular the experts of one model file were, in a few kilobytes that outlive the process: the next run
// reads the most popular ones ahead. Values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace headrace {

struct HeatTable {
  // One layer's experts, known by where they begin in the model file.
  struct Layer {
    uint64_t offset = 0;             // of the first expert in the layer's first weight
    std::vector<double> popularity;  // of each expert, at least 0
  };
  uint64_t fingerprint = 0;  // of the model file (SourceFile::Fingerprint)
  std::vector<Layer> layers;

  // Null when there is none.
  const Layer* Find(uint64_t offset, size_t experts) const;
  Layer& FindOrAdd(uint64_t offset, size_t experts);
};

// File format, little-endian: "HRHEAT01", u64 fingerprint, u32 layers, for each layer u64 offset, u32 experts and a
// u16 for each expert, 65535 for the most popular one of all; then the u64 HashBytes of all before. The scale is lost
// on purpose: many short runs do not wear out what a long one learned.
std::string SerialiseHeat(const HeatTable& table);

// Where the file of a model file lies in the cache directory.
std::string HeatPath(std::string_view directory, uint64_t fingerprint);

// Popularities are from 0 to 1. Built for hostile input; errors: kCorrupt, also for more than 4096 layers.
Result<HeatTable> ParseHeat(std::string_view bytes);

// What a file can sensibly have: 2048 layers of 1024 experts.
inline constexpr uint64_t kMaxHeatFileBytes = 4 * 1024 * 1024 + 64 * 1024;

}  // namespace headrace
