#include "cli/load_mode.h"

#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

using Words = std::vector<std::string>;

const char* Nothing(const char*) { return nullptr; }
const char* Direct(const char* name) { return name == std::string("LLAMA_ARG_LOAD_MODE") ? "dio" : nullptr; }

TEST(LoadMode, WaysThatCopyTheWeightsAreNamed) {
  EXPECT_EQ(UnmappedBy({"-m", "x", "--load-mode", "none"}, Nothing), "--load-mode none");
  EXPECT_EQ(UnmappedBy({"-lm", "mlock"}, Nothing), "-lm mlock");
  EXPECT_EQ(UnmappedBy({"--no-mmap"}, Nothing), "--no-mmap");
  EXPECT_EQ(UnmappedBy({"-c", "1"}, Direct), "LLAMA_ARG_LOAD_MODE=dio");
  for (const char* mode : {"auto", "mmap", "mmap+mlock", "nonsense"}) EXPECT_EQ(UnmappedBy({"--load-mode", mode}, Direct), "") << mode;
  EXPECT_EQ(UnmappedBy({"--load-mode", "none", "--load-mode", "mmap"}, Nothing), "") << "the last one counts";
  EXPECT_EQ(UnmappedBy({"--load-mode"}, Nothing), "") << "the engine's own error";
  EXPECT_EQ(UnmappedBy({}, Nothing), "");
}

TEST(LoadMode, MappedInstead) {
  EXPECT_EQ(Mapped({"-lm", "none", "--temp", "0", "--load-mode", "mlock", "--no-mmap"}), (Words{"-lm", "mmap", "--temp", "0", "--load-mode", "mmap"}));
  EXPECT_EQ(Mapped({"--load-mode", "mmap+mlock", "-p", "none"}), (Words{"--load-mode", "mmap+mlock", "-p", "none"}));
  EXPECT_EQ(UnmappedBy(Mapped({"--load-mode", "dio"}), Direct), "");
  EXPECT_EQ(MappedLine(""), "");
  EXPECT_TRUE(MappedLine("--load-mode none").starts_with("--load-mode none is left out"));
}

}  // namespace
}  // namespace headrace::cli
