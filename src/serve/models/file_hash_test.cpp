#include "serve/models/file_hash.h"

#include <gtest/gtest.h>

#include "base/temporary_tree.h"

namespace headrace::serve {
namespace {

TEST(HashFiles, EveryByteAndTheOrderCount) {
  const TemporaryTree tree;
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
