#include "engine/engine_variables.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace headrace::cli {
namespace {

constexpr std::string_view kPrefix = "LLAMA_ARG_", kNegation = "LLAMA_ARG_NO_", kKey = "LLAMA_API_KEY";

bool IsOneOf(std::string_view value, std::initializer_list<std::string_view> values) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// Beside what is any server's own: where a model comes from, and the log, which headrace reads.
constexpr OptionId kOwn[] = {OptionId::kModelUrl,       OptionId::kDockerRepository, OptionId::kRepository,
                             OptionId::kRepositoryFile, OptionId::kDraftRepository,  OptionId::kProjectorUrl,
                             OptionId::kLogFile,        OptionId::kLogJson,          OptionId::kLogColors,
                             OptionId::kLogPrefix,      OptionId::kLogTimes,         OptionId::kVerbosity};

bool IsAmong(const std::string& name, const auto& options) {
  const auto option = FindOption(name);
  return option && std::find(std::begin(options), std::end(options), *option) != std::end(options);
}

bool SwitchesOff(const std::string& name) { return name.starts_with("--no-"); }

struct Option {
  const OptionOfVariable* option = nullptr;  // null: the program has none
  std::string value;
};

// LLAMA_ARG_NO_X, whatever its value, is what "--no-x" is where LLAMA_ARG_X switches on and off.
Option Find(const OptionNames& known, const std::string& variable, const std::string& value) {
  const auto& variables = known.variables();
  if (const auto found = variables.find(variable); found != variables.end()) return {&found->second, value};
  if (!variable.starts_with(kNegation)) return {};
  const auto found = variables.find(std::string(kPrefix) + variable.substr(kNegation.size()));
  const bool negates = found != variables.end() && !found->second.has_value && SwitchesOff(found->second.names.back());
  return negates ? Option{&found->second, "0"} : Option{};
}

// The words that say the same; none for a switch that is not set. nullopt: the program would refuse the value.
std::optional<std::vector<std::string>> WordsOf(const Option& option) {
  const std::vector<std::string>& names = option.option->names;
  // The longest name says most.
  const auto longest = [&](bool off) {
    std::string best;
    for (const std::string& name : names) {
      if (SwitchesOff(name) == off && name.size() > best.size()) best = name;
    }
    return best.empty() ? names.back() : best;
  };
  if (option.option->has_value) return std::vector<std::string>{longest(false), option.value};
  const bool on = IsOneOf(option.value, {"on", "enabled", "true", "1"}),
             off = IsOneOf(option.value, {"off", "disabled", "false", "0"});
  const bool both = SwitchesOff(names.back()) && !SwitchesOff(names.front());
  if (on) return std::vector<std::string>{longest(false)};
  if (both && off) return std::vector<std::string>{longest(true)};
  if (both) return std::nullopt;
  return std::vector<std::string>();
}

}  // namespace

Environment TakeEngineVariables() {
  Environment taken;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    if (equals != std::string_view::npos && (name.starts_with(kPrefix) || name == kKey))
      taken.emplace_back(name, text.substr(equals + 1));
  }
  for (const auto& [name, value] : taken) unsetenv(name.c_str());
  std::sort(taken.begin(), taken.end());
  return taken;
}

VariableChoice ChooseVariables(const Environment& variables, const OptionNames& known, const EngineArguments& said,
                               const OptionIds& ours) {
  VariableChoice choice;
  std::vector<std::string> counted, own, overridden, unknown, odd;
  for (const auto& [variable, value] : variables) {
    const Option option = Find(known, variable, value);
    if (option.option == nullptr) {
      unknown.push_back(variable);
      continue;
    }
    const auto any = [&](auto&& test) {
      return std::any_of(option.option->names.begin(), option.option->names.end(), test);
    };
    const auto words = WordsOf(option);
    if (any([&](const std::string& name) {
          return IsAmong(name, ServersOwnOptions()) || IsAmong(name, kOwn) || IsAmong(name, ours);
        })) {
      own.push_back(variable);
    } else if (any([&](const std::string& name) { return said.Says(name); })) {
      overridden.push_back(variable);
    } else if (!words) {
      odd.push_back(variable);
    } else if (!words->empty()) {
      choice.arguments.Append(*words);
      counted.push_back(fmt::format("{} ({})", fmt::join(*words, " "), variable));
    }
  }
  if (!counted.empty())
    choice.lines.push_back(fmt::format("options from the environment: {}", fmt::join(counted, ", ")));
  const auto left_out = [&](const std::vector<std::string>& names, const char* why) {
    if (!names.empty())
      choice.lines.push_back(fmt::format("ignored from the environment: {}: {}", fmt::join(names, ", "), why));
  };
  left_out(own, "headrace sets that itself");
  left_out(overridden, "an option or the Modelfile overrides it");
  left_out(odd, "its value is neither on nor off");
  left_out(unknown, "the program has no such option");
  return choice;
}

EngineArguments VariablesAsOptions(const Environment& variables, const OptionNames& known) {
  EngineArguments arguments;
  for (const auto& [variable, value] : variables) {
    const Option option = Find(known, variable, value);
    const auto words = option.option == nullptr ? std::nullopt : WordsOf(option);
    if (words) arguments.Append(*words);
  }
  return arguments;
}

}  // namespace headrace::cli
