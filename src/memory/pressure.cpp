#include "memory/pressure.h"

#include <algorithm>
#include <charconv>

namespace headrace {
namespace {

constexpr std::chrono::seconds kInterval{1};
constexpr std::chrono::seconds kCalm{10};
constexpr double kStep = 0.125;
constexpr double kMost = 0.5;

}  // namespace

std::optional<uint64_t> ParseFullStall(std::string_view text) {
  constexpr std::string_view kLine = "full ", kField = "total=";
  const size_t line = text.find(kLine);
  if (line == std::string_view::npos) return std::nullopt;
  const size_t field = text.find(kField, line);
  if (field == std::string_view::npos) return std::nullopt;
  uint64_t microseconds = 0;
  const char* const begin = text.data() + field + kField.size();
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), microseconds);
  return error == std::errc() ? std::optional(microseconds) : std::nullopt;
}

double PressureBrake::Update(std::optional<uint64_t> full_stall_us, Clock::time_point now) {
  if (!full_stall_us) return 0;
  if (!stall_us_) {
    stall_us_ = full_stall_us;
    since_ = calm_since_ = now;
  }
  if (now - since_ < kInterval) return held_back_;
  const auto interval = std::chrono::duration_cast<std::chrono::microseconds>(now - since_).count();
  const bool waits = (*full_stall_us - *stall_us_) * 10 > static_cast<uint64_t>(interval);
  stall_us_ = full_stall_us;
  since_ = now;
  if (waits) {
    calm_since_ = now;
    held_back_ = std::min(kMost, held_back_ + kStep);
  } else if (now - calm_since_ >= kCalm) {
    held_back_ = std::max(0.0, held_back_ - kStep);
  }
  return held_back_;
}

}  // namespace headrace
