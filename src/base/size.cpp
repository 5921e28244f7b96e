#include "base/size.h"

#include <unistd.h>

#include <cctype>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace headrace {

uint64_t PageBytes() {
  static const auto bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

Result<uint64_t> ParseSize(std::string_view text) {
  const auto invalid = [&](std::string_view why) {
    return Status(Code::kInvalidArgument,
                  fmt::format("'{}' is not a size: {}. Write for instance 8G, 512MiB or 1.5GB.", text, why));
  };
  std::string_view rest = text;
  const auto trim = [&] {
    while (!rest.empty() && std::isspace(static_cast<unsigned char>(rest.front()))) rest.remove_prefix(1);
    while (!rest.empty() && std::isspace(static_cast<unsigned char>(rest.back()))) rest.remove_suffix(1);
  };
  trim();
  if (rest.empty()) return invalid("it is empty");
  if (rest.front() == '-') return invalid("it is negative");

  double number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(number)) return invalid("it does not start with a number");
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  trim();

  double unit = 1;
  if (!rest.empty()) {
    switch (std::toupper(static_cast<unsigned char>(rest.front()))) {
      case 'B':
        break;
      case 'K':
        unit = static_cast<double>(kKiB);
        break;
      case 'M':
        unit = static_cast<double>(kMiB);
        break;
      case 'G':
        unit = static_cast<double>(kGiB);
        break;
      case 'T':
        unit = static_cast<double>(kGiB) * 1024;
        break;
      default:
        return invalid("the unit must be K, M, G or T");
    }
    std::string suffix;
    for (char c : rest.substr(1)) suffix += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const bool bare_b = unit == 1;
    if (!suffix.empty() && (bare_b || (suffix != "B" && suffix != "IB"))) return invalid("the unit is unknown");
  }
  const double bytes = number * unit;
  if (bytes >= 9.2e18) return invalid("it is too large");
  return static_cast<uint64_t>(std::llround(bytes));
}

std::string FormatSize(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  const int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, digits, kUnits[unit]);
}

}  // namespace headrace
