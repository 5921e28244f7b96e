#include "run/server_choice.h"

#include <algorithm>

#include <fmt/format.h>

namespace headrace::run {
std::string WhyNotServer(const cli::EngineArguments& rest, const std::vector<cli::EngineOption>& defaults,
                         const cli::OptionNames& known) {
  // What llama-server knows too, but with which it would not give one answer of this model.
  for (const cli::OptionIds* others : {&cli::ServerModeOptions(), &cli::ServersOwnOptions()}) {
    if (const std::string name = rest.FirstOf(*others); !name.empty())
      return fmt::format("{} would make it do something else", name);
  }
  for (const cli::GivenOption& given : rest.options()) {
    if (!known.Has(given.name)) return fmt::format("it does not know {}", given.name);
  }
  for (const cli::EngineOption& option : defaults) {
    if (std::none_of(option.names.begin(), option.names.end(), [&](const char* name) { return known.Has(name); })) {
      return fmt::format("it does not know {}", option.names.front());
    }
  }
  return "";
}

}  // namespace headrace::run
