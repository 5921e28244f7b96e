#include "report/help.h"

#include <gtest/gtest.h>

#include <string>

#include <CLI/CLI.hpp>

namespace headrace::cli {
namespace {

TEST(Help, FillsParagraphsAndLeavesExamplesAlone) {
  const std::string word = "123456789";
  std::string nine;
  for (int i = 0; i < 9; ++i) nine += word + (i == 4 ? "\n" : " ");
  EXPECT_EQ(FillHelp("\n" + nine + "\n  short   example\n"),
            "\n123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789\n123456789\n  short   "
            "example\n");
}

TEST(Help, TheCommentOfALongExampleComesBelowIt) {
  const std::string command(70, 'c');
  EXPECT_EQ(FillHelp("  " + command + "      what it does here\n"), "  " + command + "\n      what it does here\n");
  EXPECT_EQ(FillHelp("  " + std::string(90, 'c') + "\n"), "  " + std::string(90, 'c') + "\n") << "nothing can be moved";
}

TEST(Help, AWordThatIsTooLongHasALineOfItsOwn) {
  EXPECT_EQ(Fill("a " + std::string(20, 'b') + " c", 10, 2, 0), "a\n  " + std::string(20, 'b') + "\n  c");
  EXPECT_EQ(Fill("", 10, 2, 0), "");
}

TEST(Help, AValueHasItsNameWithoutWhatChecksAdd) {
  CLI::App app;
  int number = 0;
  std::string text;
  EXPECT_EQ(ValueName(*app.add_option("--number", number)->type_name("N")->check(CLI::Range(1, 9))), "N");
  EXPECT_EQ(ValueName(*app.add_option("--size", text)->type_name("SIZE|auto")), "SIZE|auto");
  EXPECT_EQ(ValueName(*app.add_option("--host", text)->type_name("HOST[:PORT],...")->check(CLI::ExistingPath)),
            "HOST[:PORT],...");
  EXPECT_EQ(ValueName(*app.add_flag("--flag")), "");
}

}  // namespace
}  // namespace headrace::cli
