#include "engine/load_mode.h"

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
  for (const char* mode : {"auto", "mmap", "mmap+mlock", "nonsense"})
    EXPECT_EQ(UnmappedBy({"--load-mode", mode}, Direct), "") << mode;
  EXPECT_EQ(UnmappedBy({"--load-mode", "none", "--load-mode", "mmap"}, Nothing), "") << "the last one counts";
  EXPECT_EQ(UnmappedBy({"--load-mode"}, Nothing), "") << "the engine's own error";
  EXPECT_EQ(UnmappedBy({}, Nothing), "");
}

// Releases until 2026 had a switch for each way; llama-bench's take values.
TEST(LoadMode, OlderSpellings) {
  for (const char* word : {"--no-mmap", "--no_mmap", "--mlock", "-dio", "--direct-io"}) {
    EXPECT_EQ(UnmappedBy({"-m", "x", word, "-c", "1"}, Nothing), word);
    EXPECT_EQ(Mapped({"-m", "x", word, "-c", "1"}).words(), (Words{"-m", "x", "-c", "1"})) << word;
  }
  EXPECT_EQ(UnmappedBy({"--no-mmap", "--mmap"}, Nothing), "") << "the last one counts";
  EXPECT_EQ(UnmappedBy({"--mlock", "--mmap"}, Nothing), "--mlock") << "locked all the same";
  EXPECT_EQ(UnmappedBy({"-mmp", "0"}, Nothing), "-mmp 0");
  EXPECT_EQ(UnmappedBy({"--mmap", "0,1"}, Nothing), "--mmap 0,1");
  EXPECT_EQ(UnmappedBy({"--mmap", "1", "-dio", "0"}, Nothing), "");
  EXPECT_EQ(Mapped({"-mmp", "0", "-dio", "1", "-p", "1"}).words(), (Words{"-p", "1"}));
  EXPECT_EQ(Mapped({"--mmap", "1", "-dio", "0"}).words(), (Words{"--mmap", "1", "-dio", "0"}));
  EXPECT_EQ(UnmappedBy({"-lm", "mmap,none"}, Nothing), "-lm mmap,none");
  EXPECT_EQ(Mapped({"-lm", "mmap,none"}).words(), (Words{"-lm", "mmap"}));
}

TEST(LoadMode, VariablesOfAllReleases) {
  const auto asks = [](const std::string& variable, const char* value) {
    return UnmappedBy({"-c", "1"}, [&](const char* name) { return name == variable ? value : nullptr; });
  };
  EXPECT_EQ(asks("LLAMA_ARG_NO_MMAP", "0"), "LLAMA_ARG_NO_MMAP=0") << "whatever its value";
  EXPECT_EQ(asks("LLAMA_ARG_MMAP", "off"), "LLAMA_ARG_MMAP=off");
  EXPECT_EQ(asks("LLAMA_ARG_MMAP", "1"), "");
  for (const char* variable : {"LLAMA_ARG_MLOCK", "LLAMA_ARG_DIO"}) {
    EXPECT_EQ(asks(variable, "true"), std::string(variable) + "=true");
    EXPECT_EQ(asks(variable, "0"), "");
    EXPECT_TRUE(IsLoadVariable(variable));
  }
  EXPECT_FALSE(IsLoadVariable("LLAMA_ARG_MODEL"));
  EXPECT_EQ(UnmappedBy({"--mmap"}, [](const char*) { return "1"; }), "") << "arguments go before them";
}

TEST(LoadMode, SettingsOfSeveralModels) {
  EXPECT_EQ(UnmappedInPreset("version = 1\n[*]\nctx-size = 8\n[a]\n  load-mode = dio \r\n"), "load-mode = dio");
  EXPECT_EQ(UnmappedInPreset("[a]\nLLAMA_ARG_LOAD_MODE=none"), "LLAMA_ARG_LOAD_MODE=none");
  EXPECT_EQ(UnmappedInPreset("lm = mlock"), "lm = mlock");
  EXPECT_EQ(UnmappedInPreset("mmap = off"), "mmap = off");
  EXPECT_EQ(UnmappedInPreset("no-mmap = 1"), "no-mmap = 1");
  EXPECT_EQ(UnmappedInPreset("; load-mode = none\n# load-mode = none\nload-mode = mmap\nmmap = on\nmlock = 0\nnone\n"),
            "");
  EXPECT_EQ(UnmappedInPreset(""), "");
}

TEST(LoadMode, MappedInstead) {
  EXPECT_EQ(Mapped({"-lm", "none", "--temp", "0", "--load-mode", "mlock", "--no-mmap"}).words(),
            (Words{"-lm", "mmap", "--temp", "0", "--load-mode", "mmap"}));
  EXPECT_EQ(Mapped({"--load-mode", "mmap+mlock", "-p", "none"}).words(),
            (Words{"--load-mode", "mmap+mlock", "-p", "none"}));
  EXPECT_EQ(UnmappedBy(Mapped({"--load-mode", "dio"}), Direct), "");
  EXPECT_EQ(MappedLine(""), "");
  EXPECT_TRUE(MappedLine("--load-mode none").starts_with("--load-mode none is ignored"));
}

}  // namespace
}  // namespace headrace::cli
