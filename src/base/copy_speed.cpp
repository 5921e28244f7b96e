#include "base/copy_speed.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include <fmt/format.h>

namespace headrace {
namespace {

constexpr std::string_view kBegin = "headrace: copies at ";

// The number before the next blank, which is taken away with it.
std::optional<double> TakeNumber(std::string_view& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data() + text.size() || *end != ' ') return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  return static_cast<double>(number);
}

}  // namespace

std::string CopySpeedLine(const CopySpeed& speed) {
  return fmt::format("{}{:.0f} {:.0f} {}\n", kBegin, speed.bytes_per_s, speed.staged_bytes_per_s, speed.device);
}

std::vector<CopySpeed> ParseCopySpeeds(std::string_view output) {
  std::vector<CopySpeed> speeds;
  while (!output.empty()) {
    const size_t end = std::min(output.find('\n'), output.size());
    std::string_view line = output.substr(0, end);
    output.remove_prefix(std::min(end + 1, output.size()));
    // What the program itself writes may stand before it in the line.
    const size_t begin = line.find(kBegin);
    if (begin == std::string_view::npos) continue;
    line.remove_prefix(begin + kBegin.size());
    const auto ordinary = TakeNumber(line), staged = TakeNumber(line);
    if (ordinary && staged && *ordinary > 0 && !line.empty()) speeds.push_back({std::string(line), *ordinary, *staged});
  }
  return speeds;
}

}  // namespace headrace
