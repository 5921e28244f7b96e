#include "engine/load_mode.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "base/say.h"
#include "report/exit_status.h"

namespace headrace::cli {
namespace {

// In the environment: with any value, when on, when off.
constexpr std::string_view kUnmapping = "LLAMA_ARG_NO_MMAP", kUnmappingWhenOn[] = {"LLAMA_ARG_MLOCK", "LLAMA_ARG_DIO"},
                           kUnmappingWhenOff = "LLAMA_ARG_MMAP";
constexpr std::string_view kOn[] = {"1", "on", "true", "enabled"}, kOff[] = {"0", "off", "false", "disabled"};

bool Among(const auto& words, std::string_view word) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

bool IsUnmappingSwitch(std::optional<OptionId> option) {
  return option == OptionId::kNoMmap || option == OptionId::kLock || option == OptionId::kDirectIo;
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

// What an option says, and in how many words.
struct Said {
  enum What { kNothing, kMode, kUnmap, kMap } what = kNothing;
  size_t words = 1;
  bool unmapped = false;
};

Said SaidBy(const GivenOption& given, const std::vector<std::string>& words) {
  if (given.option == OptionId::kLoadMode)
    return given.value.value_or("").empty() ? Said() : Said{Said::kMode, 2, IsUnmapped(*given.value)};
  const bool maps = given.option == OptionId::kMmap;
  if (!maps && !IsUnmappingSwitch(given.option)) return {};
  // llama-bench's switches.
  const std::string_view next =
      given.at + 1 < words.size() ? std::string_view(words[given.at + 1]) : std::string_view();
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

std::string UnmappedBy(const EngineArguments& arguments, const Getenv& getenv) {
  bool maps = false;  // a later word says so
  const std::vector<std::string>& words = arguments.words();
  for (auto given = arguments.options().rbegin(); given != arguments.options().rend(); ++given) {
    const Said said = SaidBy(*given, words);
    if (said.what == Said::kNothing) continue;
    if (said.what == Said::kMap && said.words == 1) maps = true;
    if (said.unmapped && !(maps && given->option == OptionId::kNoMmap))
      return said.words == 1 ? words[given->at] : words[given->at] + " " + words[given->at + 1];
    if (said.what == Said::kMode) return "";
  }
  if (maps) return "";
  for (const char* name : kVariables) {
    const char* value = getenv(name);
    if (value != nullptr && AsksInEnvironment(name, value)) return fmt::format("{}={}", name, value);
  }
  return "";
}

EngineArguments Mapped(const EngineArguments& arguments) {
  std::vector<std::string> words = arguments.words();
  for (auto given = arguments.options().rbegin(); given != arguments.options().rend(); ++given) {
    const Said said = SaidBy(*given, arguments.words());
    if (!said.unmapped) continue;
    const auto at = words.begin() + static_cast<ptrdiff_t>(given->at);
    if (said.what == Said::kMode) {
      *(at + 1) = kMappedMode;
    } else {
      words.erase(at, at + static_cast<ptrdiff_t>(said.words));
    }
  }
  return words;
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
    auto option = FindOption("--" + key);
    if (!option) option = FindOption("-" + key);
    const bool mode = option == OptionId::kLoadMode && IsUnmapped(value);
    const bool on = IsUnmappingSwitch(option) && Among(kOn, value);
    const bool off = option == OptionId::kMmap && Among(kOff, value);
    if (mode || on || off || AsksInEnvironment(key, value)) return OneLine(line);
  }
  return "";
}

std::string MappedLine(const std::string& unmapped_by) {
  if (unmapped_by.empty()) return "";
  return fmt::format("{} is ignored: it would read all weights into memory, but they stream from a mapping of the file",
                     unmapped_by);
}

void SayMapped(const EngineArguments& rest) {
  const std::string line = MappedLine(UnmappedBy(rest, [](const char* name) { return std::getenv(name); }));
  if (!line.empty()) Say(line);
}

bool IsLoadVariable(std::string_view name) { return Among(kVariables, name); }

}  // namespace headrace::cli
