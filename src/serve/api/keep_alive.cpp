#include "serve/api/keep_alive.h"

#include <charconv>
#include <cmath>
#include <string>

#include <fmt/format.h>

namespace headrace::serve {
namespace {

constexpr double kLongestKept = 1e9;  // s; longer is for ever

// In seconds; nullopt when it is none.
std::optional<double> SecondsIn(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  double seconds = 0;
  while (!text.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc() || !std::isfinite(number) || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    const std::string unit(text.substr(0, std::min(text.find_first_of("0123456789."), text.size())));
    text.remove_prefix(unit.size());
    const double factor = unit.empty() || unit == "s" ? 1
                          : unit == "m"               ? 60
                          : unit == "h"               ? 3600
                          : unit == "ms"              ? 1e-3
                          : unit == "us"              ? 1e-6
                          : unit == "ns"              ? 1e-9
                                                      : 0;
    if (factor == 0) return std::nullopt;
    seconds += number * factor;
  }
  return negative ? -seconds : seconds;
}

}  // namespace

Result<KeepAlive> ParseKeepAlive(const Json& value) {
  if (value.is_null()) return KeepAlive();
  const auto seconds = value.is_number()   ? std::optional(value.get<double>())
                       : value.is_string() ? SecondsIn(value.get<std::string>())
                                           : std::nullopt;
  if (!seconds)
    return Status(
        Code::kInvalidArgument,
        "keep_alive is not understood: write seconds, or a text like \"5m\"; 0 unloads the model, -1 keeps it");
  if (*seconds < 0 || *seconds > kLongestKept) return KeepAlive{KeepAlive::Kind::kForEver};
  if (*seconds == 0) return KeepAlive{KeepAlive::Kind::kAtOnce};
  return KeepAlive{KeepAlive::Kind::kTime, std::chrono::seconds(static_cast<int64_t>(std::ceil(*seconds)))};
}

}  // namespace headrace::serve
