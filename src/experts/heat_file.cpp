#include "experts/heat_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "base/hash.h"

namespace headrace {
namespace {

static_assert(std::endian::native == std::endian::little);
constexpr std::string_view kHeatMagic = "HRHEAT01";
constexpr uint32_t kMostLayers = 4096;
constexpr double kMost = std::numeric_limits<uint16_t>::max();

template <typename T>
void Append(std::string& text, T value) {
  text.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Takes a number off the front; false when it ends first.
template <typename T>
bool Take(std::string_view& text, T& value) {
  if (text.size() < sizeof value) return false;
  std::memcpy(&value, text.data(), sizeof value);
  text.remove_prefix(sizeof value);
  return true;
}

bool ParseLayer(std::string_view& text, HeatTable& table) {
  uint64_t offset = 0;
  uint32_t experts = 0;
  if (!Take(text, offset) || !Take(text, experts) || experts == 0 || experts > text.size() / sizeof(uint16_t))
    return false;
  if (table.Find(offset, experts) != nullptr) return false;
  std::vector<double>& popularity = table.FindOrAdd(offset, experts).popularity;
  for (double& value : popularity) {
    uint16_t part = 0;
    if (!Take(text, part)) return false;
    value = part / kMost;
  }
  return true;
}

}  // namespace

const HeatTable::Layer* HeatTable::Find(uint64_t offset, size_t experts) const {
  const auto found = std::find_if(layers.begin(), layers.end(), [&](const Layer& layer) {
    return layer.offset == offset && layer.popularity.size() == experts;
  });
  return found == layers.end() ? nullptr : &*found;
}

HeatTable::Layer& HeatTable::FindOrAdd(uint64_t offset, size_t experts) {
  if (const Layer* found = Find(offset, experts)) return layers[static_cast<size_t>(found - layers.data())];
  return layers.emplace_back(Layer{offset, std::vector<double>(experts)});
}

std::string HeatPath(std::string_view directory, uint64_t fingerprint) {
  return fmt::format("{}/experts/{:016x}", directory, fingerprint);
}

std::string SerialiseHeat(const HeatTable& table) {
  double most = 0;
  for (const HeatTable::Layer& layer : table.layers) {
    for (const double popularity : layer.popularity) most = std::max(most, popularity);
  }
  std::string text(kHeatMagic);
  Append(text, table.fingerprint);
  Append(text, static_cast<uint32_t>(table.layers.size()));
  for (const HeatTable::Layer& layer : table.layers) {
    Append(text, layer.offset);
    Append(text, static_cast<uint32_t>(layer.popularity.size()));
    for (const double popularity : layer.popularity) {
      Append(text, static_cast<uint16_t>(most > 0 ? std::round(popularity / most * kMost) : 0));
    }
  }
  Append(text, HashBytes(text));
  return text;
}

Result<HeatTable> ParseHeat(std::string_view bytes) {
  const Status corrupt(Code::kCorrupt, "damaged, or not a table of experts' heat");
  uint64_t hash = 0;
  if (bytes.size() < kHeatMagic.size() + sizeof hash || !bytes.starts_with(kHeatMagic)) return corrupt;
  std::string_view text = bytes.substr(0, bytes.size() - sizeof hash);
  std::memcpy(&hash, bytes.data() + text.size(), sizeof hash);
  if (hash != HashBytes(text)) return corrupt;
  text.remove_prefix(kHeatMagic.size());
  HeatTable table;
  uint32_t layers = 0;
  if (!Take(text, table.fingerprint) || !Take(text, layers) || layers > kMostLayers) return corrupt;
  for (uint32_t i = 0; i < layers; ++i) {
    if (!ParseLayer(text, table)) return corrupt;
  }
  if (!text.empty()) return corrupt;
  return table;
}

}  // namespace headrace
