// What an engine's programs say about themselves. Options move between llama.cpp's releases, so nothing is
// passed that --help does not list.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "base/status.h"
#include "cli/engine_locator.h"

namespace headrace::cli {

// The option names in a program's --help; for an option with a list of values also "NAME=VALUE" for each.
class OptionNames {
 public:
  OptionNames() = default;
  explicit OptionNames(std::set<std::string> names) : names_(std::move(names)) {}
  bool Has(const std::string& name) const { return names_.count(name) > 0; }
  bool empty() const { return names_.empty(); }

 private:
  std::set<std::string> names_;
};
OptionNames ParseHelp(std::string_view help);

// Runs PROGRAM --help. Errors: kUnsupported when it prints no options, with its last line.
Result<OptionNames> QueryOptions(const std::string& program);

// "0.7.0 (build 11669, commit Debian)" of llama.cpp's --version output; "" when it has none.
std::string ParseVersion(std::string_view output);
// "unknown" when no program of the engine tells.
std::string QueryVersion(const Engine& engine);

// Whether the engine can be streamed: it must use shared libraries, so that headrace's definitions come first.
struct GgmlCheck {
  bool usable = false;
  std::string version;       // "0.27.0" of libggml-base.so.0.27.0, "" when unknown
  std::string library;       // libggml-base that was found, "" when none
  std::string problem;       // why not usable, "" when it is
};
GgmlCheck CheckGgml(const Engine& engine);

}  // namespace headrace::cli
