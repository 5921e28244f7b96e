// What an engine's programs say about themselves. Options move between llama.cpp's releases, so nothing is
// passed that --help does not list.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "engine/engine_locator.h"

namespace headrace::cli {

// An option of a program that can also be given in the environment.
struct OptionOfVariable {
  std::vector<std::string> names;  // as --help lists them; those that switch off last
  bool has_value = false;
};

// The option names in a program's --help; for an option with a list of values also "NAME=VALUE" for each.
class OptionNames {
 public:
  using Variables = std::map<std::string, OptionOfVariable>;  // by the variable's name
  OptionNames() = default;
  explicit OptionNames(std::set<std::string> names, Variables variables = {})
      : names_(std::move(names)), variables_(std::move(variables)) {}
  bool Has(const std::string& name) const { return names_.count(name) > 0; }
  bool empty() const { return names_.empty(); }
  const Variables& variables() const { return variables_; }

 private:
  std::set<std::string> names_;
  Variables variables_;
};
OptionNames ParseHelp(std::string_view help);

// Runs PROGRAM [COMMAND] --help; `command` is the first word of llama.cpp's one program for all. Errors: kUnsupported
// when it prints no options, with its last line.
Result<OptionNames> QueryOptions(const std::string& program, const std::vector<std::string>& command = {});

// "0.7.0 (build 11669, commit Debian)" of llama.cpp's --version output; "" when it has none.
std::string ParseVersion(std::string_view output);
// "unknown" when no program of the engine tells.
std::string QueryVersion(const Engine& engine);

// Whether the engine can be streamed: it must use shared libraries, so that headrace's definitions come first.
struct GgmlCheck {
  bool usable = false;
  std::string version;  // "0.27.0" of libggml-base.so.0.27.0, "" when unknown
  std::string library;  // libggml-base that was found, "" when none
  std::string problem;  // why not usable, "" when it is
  std::string off;      // what cannot be had with it and why, "" when all can
};
GgmlCheck CheckGgml(const Engine& engine);

// The engine's libggml-base.so, "" when it has none.
std::string FindGgmlLibrary(const Engine& engine);

// Of the exported names of ggml's libraries, each followed by a zero, as their files hold them: fills in usable,
// problem and off.
void CheckGgmlFunctions(std::string_view names, GgmlCheck& check);

}  // namespace headrace::cli
