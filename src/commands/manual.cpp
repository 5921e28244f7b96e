#include "commands/manual.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "base/small_file.h"
#include "commands/commands.h"
#include "report/exit_status.h"
#include "report/help.h"
#include "report/output.h"
#include "setup/options.h"

namespace headrace::cli {
namespace {

constexpr const char* kManualExamples = R"(
Examples:
  headrace manual run | man -l -      the page of one command
  headrace manual --all man1          writes all pages into a folder, a file for each
)";

// Text that stays as it is: neither its backslashes nor a point at the beginning of a line mean anything to troff.
std::string Literal(std::string_view text) {
  std::string literal;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) literal += "\\&";
    if (c == '\\')
      literal += "\\e";
    else if (c == '-')
      literal += "\\-";
    else
      literal += c;
    line_begins = c == '\n';
  }
  return literal;
}

std::string Names(const CLI::Option& option) {
  std::string names;
  const auto add = [&](const std::string& name) {
    names += fmt::format("{}\\fB{}\\fR", names.empty() ? "" : ", ", Literal(name));
  };
  for (const std::string& name : option.get_snames()) add("-" + name);
  for (const std::string& name : option.get_lnames()) add("--" + name);
  if (names.empty()) add(option.get_name());
  if (option.get_items_expected_max() == 0) return names;
  const std::string preset = option.get_default_str();
  return fmt::format("{} \\fI{}{}\\fR", names, Literal(ValueName(option)), preset.empty() ? "" : Literal("=" + preset));
}

std::string OptionList(const CLI::App& app) {
  std::string list;
  for (const bool positional : {true, false}) {
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_group().empty() || option->get_positional() != positional) continue;
      list += fmt::format(".TP\n{}\n{}\n", Names(*option), Literal(OneLine(option->get_description())));
    }
  }
  return list;
}

std::vector<const CLI::App*> CommandsOf(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

// Examples, and what follows them, as --help prints them.
std::string Footer(const CLI::App& app) {
  std::string text = app.get_footer();
  constexpr std::string_view kHeading = "Examples:\n";
  const size_t heading = text.find(kHeading);
  if (heading != std::string::npos) text.erase(heading, kHeading.size());
  text.erase(0, text.find_first_not_of('\n'));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.empty()) return "";
  return fmt::format(".SH {}\n.nf\n{}\n.fi\n", heading == std::string::npos ? "NOTES" : "EXAMPLES", Literal(text));
}

void AddPages(const CLI::App& app, const std::string& command, std::vector<ManualPage>& pages) {
  ManualPage page;
  page.name = command;
  std::replace(page.name.begin(), page.name.end(), ' ', '-');
  std::string title = page.name;
  std::transform(title.begin(), title.end(), title.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const auto commands = CommandsOf(app);
  page.text = fmt::format(".TH {} 1 \"\" \"headrace {}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n", Literal(title),
                          HEADRACE_VERSION, Literal(page.name), Literal(OneLine(app.get_description())));
  page.text += fmt::format(".SH SYNOPSIS\n.B {}\n[\\fIOPTIONS\\fR]{}\n", Literal(command),
                           commands.empty() ? "" : " \\fICOMMAND\\fR ...");
  page.text += ".SH OPTIONS\n" + OptionList(app);
  if (!commands.empty()) page.text += ".SH COMMANDS\n";
  for (const CLI::App* below : commands) {
    const std::string name = command + " " + below->get_name();
    page.text += fmt::format(".TP\n\\fB{}\\fR\n{}\n", Literal(name), Literal(OneLine(below->get_description())));
  }
  page.text += Footer(app);
  if (command != "headrace") page.text += ".SH SEE ALSO\n.BR headrace (1)\n";
  pages.push_back(std::move(page));
  for (const CLI::App* below : commands) AddPages(*below, command + " " + below->get_name(), pages);
}

int WritePages(const std::vector<ManualPage>& pages, const std::string& folder) {
  for (const ManualPage& page : pages) {
    const Status written = ReplaceFile(folder + "/" + page.name + ".1", page.text);
    if (!written.ok()) return Fail(written);
  }
  return kExitOk;
}

int PrintPage(const std::vector<ManualPage>& pages, const std::vector<std::string>& command) {
  const std::string name = fmt::format("headrace{}{}", command.empty() ? "" : "-", fmt::join(command, "-"));
  for (const ManualPage& page : pages) {
    if (page.name != name) continue;
    WriteOutput(page.text);
    return kExitOk;
  }
  return Fail(fmt::format("there is no command headrace {}; see headrace --help", fmt::join(command, " ")), kExitUsage);
}

}  // namespace

std::vector<ManualPage> ManualPages(const CLI::App& app) {
  std::vector<ManualPage> pages;
  AddPages(app, "headrace", pages);
  return pages;
}

void AddManualCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("manual", "Print a manual page");
  command->footer(kManualExamples);
  struct Wishes {
    std::vector<std::string> command;
    std::string folder;
  };
  const auto wishes = std::make_shared<Wishes>();
  command
      ->add_option("command", wishes->command, "The command whose page to print (default: the page of headrace itself)")
      ->type_name("COMMAND");
  command->add_option("--all", wishes->folder, "Write all pages into this folder")->type_name("DIR");
  command->callback([wishes, &app, &line] {
    line.action = [wishes, &app] {
      const auto pages = ManualPages(app);
      return wishes->folder.empty() ? PrintPage(pages, wishes->command) : WritePages(pages, wishes->folder);
    };
  });
}

}  // namespace headrace::cli
