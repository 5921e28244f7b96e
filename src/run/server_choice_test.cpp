#include "run/server_choice.h"

#include <gtest/gtest.h>

namespace headrace::run {
namespace {

TEST(ServerChoice, EveryOptionMustBeKnown) {
  const cli::OptionNames known = cli::ParseHelp("-m, --model F\n--top-k N\n--temp N\n-np, --parallel N\n--host H\n");
  EXPECT_EQ(WhyNotServer({}, {}, known), "");
  EXPECT_EQ(WhyNotServer({"--top-k", "-1", "--temp", "-.5", "-"}, {{{"-s", "--temp"}, "0"}}, known), "");
  EXPECT_EQ(WhyNotServer({"--prompt-cache", "f"}, {}, known), "it does not know --prompt-cache");
  EXPECT_EQ(WhyNotServer({}, {{{"--grp-attn-n"}, "4"}}, known), "it does not know --grp-attn-n");
  EXPECT_NE(WhyNotServer({"--host", "x"}, {}, known), "");
  EXPECT_NE(WhyNotServer({"-np", "4"}, {}, known), "");
}

}  // namespace
}  // namespace headrace::run
