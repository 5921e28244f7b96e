#include "commands/completion.h"

#include <memory>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "commands/commands.h"
#include "report/exit_status.h"
#include "report/output.h"
#include "setup/options.h"

namespace headrace::cli {
namespace {

constexpr const char* kCompletionExamples = R"(
Examples:
  headrace completion bash > ~/.local/share/bash-completion/completions/headrace
  headrace completion zsh > ~/.zsh/completions/_headrace       a folder in $fpath
  headrace completion fish > ~/.config/fish/completions/headrace.fish
)";

struct Word {
  std::string text;  // "--ram", "run"
  std::string description;
  bool takes_value = false;
  std::vector<std::string> values;  // fixed choices of the value
};

struct Level {
  std::string path;  // "", "run", "engine install"
  std::vector<Word> commands;
  std::vector<Word> options;
};

// "auto|on|off" as a type name lists choices.
std::vector<std::string> Choices(const std::string& type) {
  std::vector<std::string> choices;
  if (type.find('|') == std::string::npos) return choices;
  for (size_t begin = 0; begin <= type.size();) {
    const size_t end = std::min(type.find('|', begin), type.size());
    choices.push_back(type.substr(begin, end - begin));
    begin = end + 1;
  }
  return choices;
}

// One line without characters that a shell's quotes treat in their own way.
std::string Plain(const std::string& text) {
  std::string plain;
  for (const char c : OneLine(text)) {
    if (std::string_view("'\"`$\\[]:").find(c) == std::string_view::npos) plain += c;
  }
  return plain;
}

void Collect(const CLI::App& app, const std::string& path, std::vector<Level>& levels) {
  Level level;
  level.path = path;
  for (const CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    const bool takes_value = option->get_items_expected_max() > 0;
    const auto add = [&](const std::string& text) {
      level.options.push_back({text, Plain(option->get_description()), takes_value, Choices(type)});
    };
    for (const std::string& name : option->get_snames()) add("-" + name);
    for (const std::string& name : option->get_lnames()) add("--" + name);
  }
  const auto subcommands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* sub : subcommands)
    level.commands.push_back({sub->get_name(), Plain(sub->get_description()), false, {}});
  levels.push_back(std::move(level));
  for (const CLI::App* sub : subcommands)
    Collect(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), levels);
}

std::vector<Level> Levels(const CLI::App& app) {
  std::vector<Level> levels;
  Collect(app, "", levels);
  return levels;
}

// For bash and zsh: a word that names a command leads to its path.
std::string PathCases(const std::vector<Level>& levels) {
  std::string cases;
  for (const Level& level : levels) {
    for (const Word& command : level.commands) {
      cases += fmt::format("      '{0} {1}') path='{0}{2}{1}' ;;\n", level.path, command.text,
                           level.path.empty() ? "" : " ");
    }
  }
  return cases;
}

std::vector<std::string> Texts(const std::vector<Word>& words) {
  std::vector<std::string> texts;
  for (const Word& word : words) texts.push_back(word.text);
  return texts;
}

}  // namespace

std::string BashCompletion(const CLI::App& app) {
  std::string script = R"(# bash completion for headrace
_headrace() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in
      --) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    esac
    case "$path ${COMP_WORDS[i]}" in
)";
  const std::vector<Level> levels = Levels(app);
  script += PathCases(levels);
  script += "    esac\n  done\n  case \"$path $prev\" in\n";
  for (const Level& level : levels) {
    for (const Word& option : level.options) {
      if (!option.takes_value) continue;
      script += fmt::format("    '{} {}') ", level.path, option.text);
      script += option.values.empty() ? "COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
                                      : fmt::format("COMPREPLY=($(compgen -W '{}' -- \"$cur\")); return ;;\n",
                                                    fmt::join(option.values, " "));
    }
  }
  script += "  esac\n  case \"$path\" in\n";
  for (const Level& level : levels) {
    script += fmt::format("    '{}') if [[ $cur == -* ]]; then words='{}'; else words='{}'; fi ;;\n", level.path,
                          fmt::join(Texts(level.options), " "), fmt::join(Texts(level.commands), " "));
  }
  return script + R"(  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [[ ${#COMPREPLY[@]} -gt 0 || $cur == -* ]] || COMPREPLY=($(compgen -f -- "$cur"))
}
complete -o filenames -F _headrace headrace
)";
}

std::string ZshCompletion(const CLI::App& app) {
  std::string script = R"(#compdef headrace
_headrace() {
  local path="" word i
  local -a entries
  for ((i = 2; i < CURRENT; i++)); do
    word=$words[i]
    [[ $word == -- ]] && { _files; return }
    case "$path $word" in
)";
  const std::vector<Level> levels = Levels(app);
  script += PathCases(levels);
  script += "    esac\n  done\n  case \"$path $words[CURRENT-1]\" in\n";
  for (const Level& level : levels) {
    for (const Word& option : level.options) {
      if (!option.takes_value) continue;
      script +=
          fmt::format("    '{} {}') {}; return ;;\n", level.path, option.text,
                      option.values.empty() ? "_files" : fmt::format("compadd -- {}", fmt::join(option.values, " ")));
    }
  }
  script += "  esac\n  case \"$path\" in\n";
  for (const Level& level : levels) {
    script += fmt::format("    '{}') if [[ $words[CURRENT] == -* ]]; then entries=(", level.path);
    for (const Word& option : level.options) script += fmt::format(" '{}:{}'", option.text, option.description);
    script += " ); else entries=(";
    for (const Word& command : level.commands) script += fmt::format(" '{}:{}'", command.text, command.description);
    script += " ); fi ;;\n";
  }
  return script + R"(  esac
  (( ${#entries} )) && _describe headrace entries || _files
}
compdef _headrace headrace
)";
}

std::string FishCompletion(const CLI::App& app) {
  std::string script = "# fish completion for headrace\n";
  for (const Level& level : Levels(app)) {
    // At the end of the path: each of its commands was seen, none below it.
    std::string condition;
    if (level.path.empty()) {
      condition = "__fish_use_subcommand";
    } else {
      const size_t blank = level.path.find(' ');
      condition = "__fish_seen_subcommand_from " + level.path.substr(0, blank);
      if (blank != std::string::npos) condition += "; and __fish_seen_subcommand_from " + level.path.substr(blank + 1);
      if (!level.commands.empty())
        condition += fmt::format("; and not __fish_seen_subcommand_from {}", fmt::join(Texts(level.commands), " "));
    }
    for (const Word& command : level.commands) {
      script +=
          fmt::format("complete -c headrace -n '{}' -f -a {} -d '{}'\n", condition, command.text, command.description);
    }
    for (const Word& option : level.options) {
      const bool is_long = option.text.starts_with("--");
      script += fmt::format("complete -c headrace -n '{}' {} {}{} -d '{}'\n", condition, is_long ? "-l" : "-s",
                            option.text.substr(is_long ? 2 : 1),
                            !option.takes_value     ? ""
                            : option.values.empty() ? " -r"
                                                    : fmt::format(" -x -a '{}'", fmt::join(option.values, " ")),
                            option.description);
    }
  }
  return script;
}

void AddCompletionCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("completion", "Print a completion script for a shell");
  command->footer(kCompletionExamples);
  const auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->type_name("SHELL")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([shell, &app, &line] {
    line.action = [shell, &app] {
      WriteOutput(*shell == "bash" ? BashCompletion(app) : *shell == "zsh" ? ZshCompletion(app) : FishCompletion(app));
      return kExitOk;
    };
  });
}

}  // namespace headrace::cli
