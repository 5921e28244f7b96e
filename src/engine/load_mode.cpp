#include "engine/load_mode.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "base/say.h"
#include "engine/engine_program.h"
#include "report/exit_status.h"

namespace headrace::cli {
namespace {

constexpr std::string_view kOptions[] = {"-lm", "--load-mode"};
// Of releases that had a switch for each; llama-bench's take 0 or 1, or a list of them.
constexpr std::string_view kUnmappingSwitches[] = {"--no-mmap", "--mlock", "-dio", "--direct-io"};
constexpr std::string_view kMappingSwitches[] = {"--mmap", "-mmp"};
// In the environment: with any value, when on, when off.
constexpr std::string_view kUnmapping = "LLAMA_ARG_NO_MMAP", kUnmappingWhenOn[] = {"LLAMA_ARG_MLOCK", "LLAMA_ARG_DIO"},
                           kUnmappingWhenOff = "LLAMA_ARG_MMAP";
constexpr std::string_view kOn[] = {"1", "on", "true", "enabled"}, kOff[] = {"0", "off", "false", "disabled"};

bool Among(const auto& words, std::string_view word) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

// "mlock" alone reads the file too. llama-bench takes lists.
bool IsUnmapped(std::string_view modes) {
  while (!modes.empty()) {
    const size_t end = std::min(modes.find(','), modes.size());
    const std::string_view mode = modes.substr(0, end);
    if (mode == "none" || mode == "dio" || mode == "mlock") return true;
    modes.remove_prefix(std::min(end + 1, modes.size()));
  }
  return false;
}

// "0", "1", "0,1".
bool IsSwitchValue(std::string_view word) {
  return !word.empty() && word.find_first_not_of("01,") == std::string_view::npos && word.front() != ',';
}

// What is said at arguments[at], and in how many words.
struct Said {
  enum What { kNothing, kMode, kUnmap, kMap } what = kNothing;
  size_t words = 1;
  bool unmapped = false;
};

Said At(const std::vector<std::string>& arguments, size_t at) {
  const std::string name = OptionName(arguments[at]);
  const std::string_view next = at + 1 < arguments.size() ? std::string_view(arguments[at + 1]) : std::string_view();
  if (Among(kOptions, name)) return next.empty() ? Said() : Said{Said::kMode, 2, IsUnmapped(next)};
  const bool maps = Among(kMappingSwitches, name);
  if (!maps && !Among(kUnmappingSwitches, name)) return {};
  const Said::What what = maps ? Said::kMap : Said::kUnmap;
  if (IsSwitchValue(next)) return {what, 2, next.find(maps ? '0' : '1') != std::string_view::npos};
  return {what, 1, !maps};
}

bool AsksInEnvironment(std::string_view name, std::string_view value) {
  if (name == kLoadModeVariable) return IsUnmapped(value);
  if (name == kUnmapping) return true;
  if (name == kUnmappingWhenOff) return Among(kOff, value);
  return Among(kUnmappingWhenOn, name) && Among(kOn, value);
}

constexpr const char* kVariables[] = {kLoadModeVariable, "LLAMA_ARG_NO_MMAP", "LLAMA_ARG_MMAP", "LLAMA_ARG_MLOCK",
                                      "LLAMA_ARG_DIO"};

std::string_view Trimmed(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(" \t\r"), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(" \t\r") + 1);
}

}  // namespace

std::string UnmappedBy(const std::vector<std::string>& arguments, const Getenv& getenv) {
  bool maps = false;  // a later word says so
  for (size_t i = arguments.size(); i-- > 0;) {
    const Said said = At(arguments, i);
    if (said.what == Said::kNothing) continue;
    if (said.what == Said::kMap && said.words == 1) maps = true;
    if (said.unmapped && !(maps && OptionName(arguments[i]) == "--no-mmap"))
      return said.words == 1 ? arguments[i] : arguments[i] + " " + arguments[i + 1];
    if (said.what == Said::kMode) return "";
  }
  if (maps) return "";
  for (const char* name : kVariables) {
    const char* value = getenv(name);
    if (value != nullptr && AsksInEnvironment(name, value)) return fmt::format("{}={}", name, value);
  }
  return "";
}

std::vector<std::string> Mapped(std::vector<std::string> arguments) {
  for (size_t i = 0; i < arguments.size();) {
    const Said said = At(arguments, i);
    if (said.unmapped && said.what == Said::kMode) {
      arguments[i + 1] = kMappedMode;
    } else if (said.unmapped) {
      arguments.erase(arguments.begin() + static_cast<ptrdiff_t>(i),
                      arguments.begin() + static_cast<ptrdiff_t>(i + said.words));
      continue;
    }
    i += said.words;
  }
  return arguments;
}

std::string UnmappedInPreset(std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos || line.starts_with('#') || line.starts_with(';')) continue;
    const std::string key(Trimmed(line.substr(0, equals)));
    const std::string_view value = Trimmed(line.substr(equals + 1));
    const std::string name = OptionName("--" + key);
    const bool mode = (name == "--load-mode" || key == "lm") && IsUnmapped(value);
    const bool on = (Among(kUnmappingSwitches, name) || key == "dio") && Among(kOn, value);
    const bool off = name == "--mmap" && Among(kOff, value);
    if (mode || on || off || AsksInEnvironment(key, value)) return OneLine(line);
  }
  return "";
}

std::string MappedLine(const std::string& unmapped_by) {
  if (unmapped_by.empty()) return "";
  return fmt::format("{} is ignored: it would read all weights into memory, but they stream from a mapping of the file",
                     unmapped_by);
}

void SayMapped(const std::vector<std::string>& rest) {
  const std::string line = MappedLine(UnmappedBy(rest, [](const char* name) { return std::getenv(name); }));
  if (!line.empty()) Say(line);
}

bool IsLoadVariable(std::string_view name) { return Among(kVariables, name); }

}  // namespace headrace::cli
