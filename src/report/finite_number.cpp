#include "report/finite_number.h"

#include <charconv>
#include <system_error>

#include <fmt/format.h>

namespace headrace::cli {

std::function<std::string(const std::string&)> FiniteNumber(double least, double most) {
  return [least, most](const std::string& text) -> std::string {
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end && number >= least && number <= most) return "";
    return fmt::format("{} is no number from {} to {}", text, least, most);
  };
}

}  // namespace headrace::cli
