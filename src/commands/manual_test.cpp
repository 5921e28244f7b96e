#include "commands/manual.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

namespace headrace::cli {
namespace {

class Manual : public testing::Test {
 protected:
  std::string Page(const std::string& name) {
    for (const ManualPage& page : ManualPages(app_)) {
      if (page.name == name) return page.text;
    }
    return "";
  }
  bool Has(const std::string& page, const std::string& text) { return Page(page).find(text) != std::string::npos; }

  CLI::App app_{"Runs models", "headrace"};
};

TEST_F(Manual, HasAPageForEachCommandAndThoseBelowIt) {
  app_.add_subcommand("engine", "Says which")->add_subcommand("install", "Installs one");
  app_.add_subcommand("run", "Runs one");
  std::vector<std::string> names;
  for (const ManualPage& page : ManualPages(app_)) names.push_back(page.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"headrace", "headrace-engine", "headrace-engine-install", "headrace-run"}));
  EXPECT_TRUE(Has("headrace", "headrace \\- Runs models"));
  EXPECT_TRUE(Has("headrace", "\\fBheadrace run\\fR\nRuns one"));
  EXPECT_TRUE(Has("headrace-engine-install", ".TH HEADRACE\\-ENGINE\\-INSTALL 1"));
}

TEST_F(Manual, SaysWhatAnOptionTakes) {
  std::string ram;
  bool quiet = false;
  app_.add_option("--ram", ram, "Memory for it")->type_name("SIZE|auto");
  app_.add_flag("-q,--quiet", quiet, "Says nothing");
  app_.add_option("model", ram, "The file")->type_name("MODEL");
  EXPECT_TRUE(Has("headrace", ".TP\n\\fB\\-\\-ram\\fR \\fISIZE|auto\\fR\nMemory for it\n"));
  EXPECT_TRUE(Has("headrace", ".TP\n\\fB\\-q\\fR, \\fB\\-\\-quiet\\fR\nSays nothing\n"));
  EXPECT_TRUE(Has("headrace", ".TP\n\\fBmodel\\fR \\fIMODEL\\fR\nThe file\n"));
}

TEST_F(Manual, ExamplesStayAsTheyAre) {
  app_.footer("\nExamples:\n  headrace run -p \"a\\nb\"\n.hidden\n\n");
  EXPECT_TRUE(Has("headrace", ".SH EXAMPLES\n.nf\n  headrace run \\-p \"a\\enb\"\n\\&.hidden\n.fi\n"));
}

}  // namespace
}  // namespace headrace::cli
