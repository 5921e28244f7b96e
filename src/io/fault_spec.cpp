#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <string>
#include <utility>

#include "base/size.h"
#include "io/faulty_reader.h"

namespace headrace {
namespace {

template <typename T>
bool ParseNumber(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseBytes(std::string_view text, uint64_t& bytes) {
  const auto parsed = ParseSize(text);
  if (parsed.ok()) bytes = *parsed;
  return parsed.ok();
}

bool ParseErrno(std::string_view text, int& error) {
  static constexpr std::pair<std::string_view, int> kNames[] = {
      {"EIO", EIO},       {"EINTR", EINTR},   {"EAGAIN", EAGAIN},       {"ENOMEM", ENOMEM}, {"EACCES", EACCES},
      {"EINVAL", EINVAL}, {"ESTALE", ESTALE}, {"ETIMEDOUT", ETIMEDOUT}, {"ENXIO", ENXIO},   {"ENODEV", ENODEV}};
  for (const auto& [name, value] : kNames) {
    if (text == name) return error = value, true;
  }
  return ParseNumber(text, error) && error > 0 && error < 4096;
}

bool ParseRange(std::string_view text, FaultSpec& spec) {
  const size_t dash = text.find('-');
  return dash != text.npos && ParseBytes(text.substr(0, dash), spec.begin) &&
         ParseBytes(text.substr(dash + 1), spec.end) && spec.begin < spec.end;
}

bool ParseOne(std::string_view key, std::string_view value, FaultSpec& spec) {
  if (key == "range") return ParseRange(value, spec);
  if (key == "path") return !(spec.path = value).empty();
  if (key == "after") return ParseNumber(value, spec.after);
  if (key == "times") return ParseNumber(value, spec.times);
  if (key == "errno") return ParseErrno(value, spec.error);
  if (key == "delay_us") return ParseNumber(value, spec.delay_us);
  if (key == "truncated") return (spec.truncated = value == "1") || value == "0";
  if (key == "direct") return (spec.direct = value == "1") || value == "0";
  if (key == "reorder") return (spec.reorder = value == "1") || value == "0";
  uint64_t bytes = 0;
  if (key != "short" || !ParseBytes(value, bytes) || bytes == 0 || bytes > UINT32_MAX) return false;
  spec.short_bytes = static_cast<uint32_t>(bytes);
  return true;
}

}  // namespace

Result<FaultSpec> ParseFaultSpec(std::string_view text) {
  FaultSpec spec;
  for (std::string_view rest = text;;) {
    const std::string_view item = rest.substr(0, rest.find(','));
    const size_t equals = item.find('=');
    if (equals == item.npos || !ParseOne(item.substr(0, equals), item.substr(equals + 1), spec)) {
      return Status(Code::kInvalidArgument,
                    fmt::format("'{}' in the fault '{}' is not understood. Write for instance after=100,errno=EIO or "
                                "range=4096-8192,times=2 or short=8K or truncated=1 or delay_us=500 or reorder=1.",
                                item, text));
    }
    if (item.size() == rest.size()) break;
    rest.remove_prefix(item.size() + 1);
  }
  if (spec.error == 0 && !spec.truncated && spec.short_bytes == 0 && spec.delay_us == 0 && !spec.reorder)
    spec.error = EIO;
  return spec;
}

}  // namespace headrace
