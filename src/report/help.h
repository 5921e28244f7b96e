// How --help looks: 80 columns, the options that matter first, all of them with --help-all.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace headrace::cli {

inline constexpr size_t kHelpColumns = 80;

// Before subcommands are added, which take it over.
void SetUpHelp(CLI::App& app);

// Of a command with many options --help shows these (long names, without dashes) and those that are no option of its
// own; the others are left to --help-all.
void ShowFirst(CLI::App& command, std::initializer_list<const char*> options);

// What an option's value is called, "SIZE|auto" or "HOST[:PORT]", without what its checks expect; "" without a value.
std::string ValueName(const CLI::Option& option);

// Text in lines of at most kHelpColumns: words of a paragraph are filled up to it. A line that begins with two spaces
// is an example: where it is too long, what follows three spaces in it comes below it. Pure.
std::string FillHelp(std::string_view text);

// Words in lines of at most `columns`, each but the first behind `indent` spaces; the first begins at column `used`.
// Pure.
std::string Fill(std::string_view words, size_t columns, size_t indent, size_t used);

}  // namespace headrace::cli
