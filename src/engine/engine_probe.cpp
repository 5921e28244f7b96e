#include "engine/engine_probe.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "base/engine_functions.h"
#include "process/capture.h"
#include "report/exit_status.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;

std::optional<fs::path> FindGgmlBase(const fs::path& bin_dir) {
  std::error_code error;
  const fs::path prefix = bin_dir.parent_path();
  std::vector<fs::path> folders = {bin_dir, prefix / "lib", prefix / "lib64", "/usr/local/lib", "/usr/lib"};
  for (size_t i = 1; i < 3; ++i) {
    for (const auto& entry : fs::directory_iterator(folders[i], error)) {
      const std::string name = entry.path().filename().string();
      if (name.find("-linux") != std::string::npos || name == "llama.cpp") folders.push_back(entry.path());
    }
  }
  for (const auto& entry : fs::directory_iterator("/usr/lib", error)) {
    if (entry.path().filename().string().find("-linux-gnu") != std::string::npos) folders.push_back(entry.path());
  }
  for (const fs::path& folder : folders) {
    for (const char* name : {"libggml-base.so", "libggml-base.so.0"}) {
      if (fs::is_regular_file(folder / name, error)) return fs::canonical(folder / name, error);
    }
  }
  return std::nullopt;
}

// Of "none,draft-simple,ngram-mod".
void AddValues(const std::string& option, std::string_view list, std::set<std::string>& names) {
  if (option.empty() || list.find(',') == std::string_view::npos) return;
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    if (end > 0) names.emplace(option + "=" + std::string(list.substr(0, end)));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
}

// Where llama.cpp's programs begin to describe an option.
constexpr size_t kTextColumn = 40;

// "(env: LLAMA_ARG_THREADS)" in the text of an option.
void AddVariable(std::string_view line, const OptionOfVariable& option, OptionNames::Variables& variables) {
  constexpr std::string_view kKey = "(env: ";
  const size_t at = line.find(kKey);
  if (at == std::string_view::npos || option.names.empty()) return;
  line.remove_prefix(at + kKey.size());
  variables.emplace(line.substr(0, line.find(')')), option);
}

}  // namespace

OptionNames ParseHelp(std::string_view help) {
  std::set<std::string> names;
  OptionNames::Variables variables;
  OptionOfVariable option;  // whose text is being read
  while (!help.empty()) {
    const size_t end = std::min(help.find('\n'), help.size());
    const std::string_view whole = help.substr(0, end);
    std::string_view line = whole;
    help.remove_prefix(std::min(end + 1, help.size()));
    const size_t indent = std::min(line.find_first_not_of(' '), line.size());
    const bool heads = line.substr(indent).starts_with('-') && indent < kTextColumn / 2;
    if (heads) option = {};
    // "-n,    --predict, --n-predict N   text": names come first, each but the last followed by a comma
    // or, in some releases, only a blank.
    std::string last;
    while (true) {
      const size_t begin = line.find_first_not_of(" ,\t");
      if (begin == std::string_view::npos) break;
      line.remove_prefix(begin);
      if (line[0] != '-') {
        AddValues(last, line.substr(0, line.find_first_of(" \t")), names);
        // The text stands in a column of its own, on the next line where the names are long; anything else is a value's
        // name.
        option.has_value =
            option.has_value || (heads && !last.empty() && begin == 1 && whole.size() - line.size() != kTextColumn);
        break;
      }
      const size_t stop = std::min(line.find_first_of(" ,\t="), line.size());
      const std::string_view name = line.substr(0, stop);
      if (name.find_first_not_of('-') == std::string_view::npos) break;
      names.emplace(name);
      last = name;
      if (heads) option.names.push_back(last);
      line.remove_prefix(stop);
    }
    if (whole.find("argument has been removed") != std::string_view::npos) option.names.clear();
    AddVariable(whole, option, variables);
  }
  return OptionNames(std::move(names), std::move(variables));
}

Result<OptionNames> QueryOptions(const std::string& program, const std::vector<std::string>& command) {
  std::vector<std::string> words = command;
  words.emplace_back("--help");
  const auto help = Capture(program, words, true);
  if (!help.ok()) return help.status();
  OptionNames names = ParseHelp(help->output);
  // -m is in every release of every program that loads a model.
  if (names.Has("-m")) return names;
  std::string_view last = help->output;
  while (!last.empty() && last.back() == '\n') last.remove_suffix(1);
  last.remove_prefix(last.rfind('\n') == std::string_view::npos ? 0 : last.rfind('\n') + 1);
  return Status(Code::kUnsupported,
                fmt::format("{} --help lists no options (exit status {}: {}); run `headrace engine install` or choose "
                            "another llama.cpp with --engine DIR",
                            program, help->exit_status, last.empty() ? "no output" : OneLine(last)));
}

std::string ParseVersion(std::string_view output) {
  constexpr std::string_view kKey = "version: ";
  const size_t begin = output.find(kKey);
  if (begin == std::string_view::npos) return "";
  output.remove_prefix(begin + kKey.size());
  return OneLine(output.substr(0, output.find('\n')));
}

std::string QueryVersion(const Engine& engine) {
  for (const char* name : {"llama-cli", "llama-completion", "llama-server", "llama-bench"}) {
    const std::string program = (fs::path(engine.bin_dir) / name).string();
    std::error_code error;
    if (!fs::exists(program, error)) continue;
    const auto output = Capture(program, {"--version"}, true);
    if (!output.ok()) continue;
    if (std::string version = ParseVersion(output->output); !version.empty()) return version;
  }
  return "unknown";
}

std::string FindGgmlLibrary(const Engine& engine) {
  std::error_code error;
  const fs::path bin_dir = fs::canonical(engine.bin_dir, error);
  const auto library = FindGgmlBase(error ? fs::path(engine.bin_dir) : bin_dir);
  return library ? library->string() : "";
}

GgmlCheck CheckGgml(const Engine& engine) {
  GgmlCheck check;
  check.library = FindGgmlLibrary(engine);
  if (check.library.empty()) {
    check.problem = "it has no shared libggml-base.so (a static build cannot be streamed)";
    return check;
  }
  const fs::path library(check.library);
  const std::string name = library.filename().string();
  if (const size_t at = name.find(".so."); at != std::string::npos) check.version = name.substr(at + 4);
  // The registry of backends is in a second library.
  std::string content;
  for (const fs::path& path : {library, library.parent_path() / "libggml.so", library.parent_path() / "libggml.so.0"}) {
    std::ifstream file(path, std::ios::binary);
    content.append(std::istreambuf_iterator<char>(file), {});
  }
  CheckGgmlFunctions(content, check);
  return check;
}

void CheckGgmlFunctions(std::string_view names, GgmlCheck& check) {
  const auto first_missing = [&](const EngineFunctions& functions) -> const char* {
    for (const char* name : functions.names) {
      if (names.find(std::string_view(name, std::strlen(name) + 1)) == std::string_view::npos) return name;
    }
    return nullptr;
  };
  for (const EngineFunctions& functions : kEngineFunctions) {
    const char* const missing = first_missing(functions);
    if (missing == nullptr) continue;
    if (functions.feature == nullptr) {
      check.problem = fmt::format("{} has no {}: this release is too old or too new", check.library, missing);
      return;
    }
    check.off += fmt::format("{}{} is off, it has no {}", check.off.empty() ? "" : "; ", functions.feature, missing);
  }
  check.usable = true;
}

}  // namespace headrace::cli
