#include "cli/load_mode.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "base/say.h"

namespace headrace::cli {
namespace {

constexpr const char* kOptions[] = {"-lm", "--load-mode"};
// Of releases that had a switch for each.
constexpr const char* kOldSwitches[] = {"--no-mmap", "-dio", "--direct-io"};

bool Among(const auto& words, const std::string& word) {
  return std::any_of(std::begin(words), std::end(words), [&](const char* candidate) { return word == candidate; });
}

// "mlock" alone reads the file too.
bool IsUnmapped(const std::string& mode) { return mode == "none" || mode == "dio" || mode == "mlock"; }

}  // namespace

std::string UnmappedBy(const std::vector<std::string>& arguments, const Getenv& getenv) {
  for (size_t i = arguments.size(); i-- > 0;) {
    if (Among(kOldSwitches, arguments[i])) return arguments[i];
    if (!Among(kOptions, arguments[i]) || i + 1 == arguments.size()) continue;
    const std::string& mode = arguments[i + 1];
    return IsUnmapped(mode) ? fmt::format("{} {}", arguments[i], mode) : "";
  }
  const char* mode = getenv(kLoadModeVariable);
  return mode != nullptr && IsUnmapped(mode) ? fmt::format("{}={}", kLoadModeVariable, mode) : "";
}

std::vector<std::string> Mapped(std::vector<std::string> arguments) {
  std::erase_if(arguments, [](const std::string& word) { return Among(kOldSwitches, word); });
  for (size_t i = 0; i + 1 < arguments.size(); ++i) {
    if (Among(kOptions, arguments[i]) && IsUnmapped(arguments[i + 1])) arguments[i + 1] = kMappedMode;
  }
  return arguments;
}

std::string MappedLine(const std::string& unmapped_by) {
  if (unmapped_by.empty()) return "";
  return fmt::format("{} is left out: it would read all weights into memory, and they stream from their mapping", unmapped_by);
}

void SayMapped(const std::vector<std::string>& rest) {
  const std::string line = MappedLine(UnmappedBy(rest, [](const char* name) { return std::getenv(name); }));
  if (!line.empty()) Say(line);
}

}  // namespace headrace::cli
