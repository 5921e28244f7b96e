#include "report/help.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace headrace::cli {
namespace {

constexpr const char* kMore = "More options";
constexpr size_t kNameColumn = 2, kDescriptionColumn = 26;

// A name in its column, then its description.
std::string Entry(const std::string& name, const std::string& description) {
  std::string entry(kNameColumn, ' ');
  entry += name;
  if (description.empty()) return entry + "\n";
  if (entry.size() + 2 > kDescriptionColumn) {
    entry += '\n' + std::string(kDescriptionColumn, ' ');
  } else {
    entry.resize(kDescriptionColumn, ' ');
  }
  return entry + Fill(description, kHelpColumns, kDescriptionColumn, kDescriptionColumn) + "\n";
}

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    if (mode == CLI::AppFormatMode::Sub) return make_subcommand(app);  // in the list of commands
    std::string help = Fill(app->get_description(), kHelpColumns, 0, 0) + "\n\n" + make_usage(app, name) +
                       make_positionals(app) + OptionGroups(app, mode);
    const auto more = app->get_options([](const CLI::Option* option) { return option->get_group() == kMore; });
    if (mode == CLI::AppFormatMode::Normal && !more.empty())
      help += fmt::format("\n{} --help-all shows {} more options.\n", name, more.size());
    return help + make_subcommands(app, mode) + FillHelp(app->get_footer());
  }

  std::string OptionGroups(const CLI::App* app, CLI::AppFormatMode mode) const {
    std::string groups;
    for (const std::string& group : app->get_groups()) {
      if (group.empty() || (group == kMore && mode == CLI::AppFormatMode::Normal)) continue;
      const auto options = app->get_options(
          [&](const CLI::Option* option) { return option->get_group() == group && option->nonpositional(); });
      if (!options.empty()) groups += make_group(group, false, options);
    }
    return groups;
  }

  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    const std::string value = ValueName(*option);
    return Entry(option->get_name(is_positional, !is_positional) + (value.empty() || is_positional ? "" : " " + value),
                 option->get_description());
  }

  std::string make_subcommand(const CLI::App* command) const override {
    return Entry(command->get_name(), command->get_description());
  }
};

}  // namespace

std::string ValueName(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return "";
  const std::string type = option.get_type_name();
  // What a check adds comes behind a colon. One in brackets is of the name.
  size_t end = 0, open = 0;
  for (; end < type.size() && (type[end] != ':' || open > 0); ++end) {
    if (type[end] == '[') ++open;
    if (type[end] == ']' && open > 0) --open;
  }
  return type.substr(0, end);
}

void SetUpHelp(CLI::App& app) {
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_help_all_flag("--help-all", "Show all options");
}

void ShowFirst(CLI::App& command, std::initializer_list<const char*> options) {
  for (CLI::Option* option : command.get_options([](const CLI::Option* any) { return any->nonpositional(); })) {
    const bool first =
        std::any_of(options.begin(), options.end(), [&](const char* name) { return option->check_lname(name); });
    if (!first && option != command.get_help_ptr() && option != command.get_help_all_ptr()) option->group(kMore);
  }
}

std::string Fill(std::string_view words, size_t columns, size_t indent, size_t used) {
  std::string filled;
  bool line_is_empty = true;
  while (!words.empty()) {
    const size_t end = std::min(words.find_first_of(" \n"), words.size());
    const std::string_view word = words.substr(0, end);
    words.remove_prefix(std::min(end + 1, words.size()));
    if (word.empty()) continue;
    if (!line_is_empty && used + 1 + word.size() > columns) {
      filled += '\n' + std::string(indent, ' ');
      used = indent;
      line_is_empty = true;
    }
    if (!line_is_empty) filled += ' ';
    used += word.size() + (line_is_empty ? 0 : 1);
    filled += word;
    line_is_empty = false;
  }
  return filled;
}

std::string FillHelp(std::string_view text) {
  std::string filled, paragraph;
  const auto end_paragraph = [&] {
    if (!paragraph.empty()) filled += Fill(paragraph, kHelpColumns, 0, 0) + "\n";
    paragraph.clear();
  };
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && !line.starts_with("  ")) {
      paragraph += fmt::format("{} ", line);
      continue;
    }
    end_paragraph();
    const size_t gap = line.size() > kHelpColumns ? line.find("   ", kNameColumn) : std::string_view::npos;
    filled += line.substr(0, gap);
    if (gap != std::string_view::npos) filled += "\n      " + Fill(line.substr(gap), kHelpColumns, 6, 6);
    filled += '\n';
  }
  end_paragraph();
  return filled;
}

}  // namespace headrace::cli
