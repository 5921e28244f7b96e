#include "serve/shaping_files.h"

#include <gtest/gtest.h>

#include "cli/temporary_tree.h"

namespace headrace::serve {
namespace {

TEST(ShapingFiles, AllTheirWaysToBeNamed) {
  using Paths = std::vector<std::string>;
  EXPECT_EQ(ShapingFiles({"-m", "x.gguf", "--temp", "1"}), Paths());
  EXPECT_EQ(ShapingFiles({"--lora", "a.gguf,b.gguf", "--control-vector", "c.gguf"}), Paths({"a.gguf", "b.gguf", "c.gguf"}));
  EXPECT_EQ(ShapingFiles({"--lora-scaled", "a.gguf:0.5,/x:y/b.gguf:2", "--control-vector-scaled", "c.gguf:-1"}), Paths({"a.gguf", "/x:y/b.gguf", "c.gguf"}));
  EXPECT_EQ(ShapingFiles({"--lora", R"("a,1.gguf",b.gguf)"}), Paths({"a,1.gguf", "b.gguf"}));
  EXPECT_EQ(ShapingFiles({"--lora", R"("a""1.gguf")"}), Paths({"a\"1.gguf"}));
  EXPECT_EQ(ShapingFiles({"--lora"}), Paths());
}

TEST(ShapingFiles, EveryByteAndTheOrderCount) {
  const cli::TemporaryTree tree;
  const std::string a = tree.File("a", std::string(3'000'000, 'x')), b = tree.File("b", "b");
  const auto hash = [&](std::vector<std::string> paths) { return *HashFiles(paths, 1); };
  const uint64_t both = hash({a, b});
  EXPECT_NE(both, hash({b, a}));
  EXPECT_NE(both, hash({a}));
  EXPECT_EQ(both, hash({a, b}));
  std::string other(3'000'000, 'x');
  other[2'999'999] = 'y';
  tree.File("a", other);
  EXPECT_NE(both, hash({a, b}));
  EXPECT_FALSE(HashFiles({tree.Path("none")}, 1).ok());
}

}  // namespace
}  // namespace headrace::serve
