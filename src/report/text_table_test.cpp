#include "report/text_table.h"

#include <gtest/gtest.h>

#include "report/exit_status.h"

namespace headrace::cli {
namespace {

using Align = TextTable::Align;

TEST(TextTable, AlignsColumns) {
  TextTable table({Align::kLeft, Align::kRight, Align::kLeft});
  table.AddRow({"resident", "1.94 GiB", "51 %"});
  table.AddRow({"ring", "96 MiB", ""});
  table.AddRow({"x"});
  EXPECT_EQ(table.Render(), "resident  1.94 GiB  51 %\nring        96 MiB\nx\n");
}

TEST(TextTable, CountsCharactersNotBytes) {
  TextTable table({Align::kLeft, Align::kLeft});
  table.AddRow({"gemäß", "a"});
  table.AddRow({"gemass", "b"});
  EXPECT_EQ(table.Render(), "gemäß   a\ngemass  b\n");
}

TEST(TextTable, EmptyIsEmpty) { EXPECT_EQ(TextTable({Align::kLeft}).Render(), ""); }

TEST(OneLine, JoinsLines) {
  EXPECT_EQ(OneLine("a\n  b\r\n\tc\n"), "a b c");
  EXPECT_EQ(OneLine("two  spaces stay"), "two  spaces stay");
  EXPECT_EQ(OneLine("\n"), "");
}

TEST(ExitStatusOf, SeparatesInputFromFailure) {
  EXPECT_EQ(ExitStatusOf(Status()), 0);
  EXPECT_EQ(ExitStatusOf(Status(Code::kCorrupt, "")), kExitUsage);
  EXPECT_EQ(ExitStatusOf(Status(Code::kOutOfBudget, "")), kExitUsage);
  EXPECT_EQ(ExitStatusOf(Status(Code::kIo, "")), kExitFailure);
}

}  // namespace
}  // namespace headrace::cli
