#include "worker/weight_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/temporary_tree.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;
using std::chrono::minutes;

class WeightCacheTest : public testing::Test {
 protected:
  static WeightCache::Time Now() { return std::chrono::system_clock::now(); }
  // As the server would write it; last used so long ago.
  std::string Piece(const std::string& content, minutes ago) {
    return Aged(tree_.File(fmt::format("{:016x}", HashBytes(content)), content), ago);
  }
  static std::string Aged(const std::string& path, minutes ago) {
    const timespec time{std::chrono::system_clock::to_time_t(Now() - ago), 0};
    const timespec times[2] = {time, time};
    EXPECT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    return path;
  }

  TemporaryTree tree_;
};

TEST_F(WeightCacheTest, OwnsFilesThatAreNamedByAHash) {
  const WeightCache cache("/c/worker/", 1);
  EXPECT_TRUE(cache.Owns("/c/worker/0123456789abcdef"));
  EXPECT_TRUE(cache.Owns("/c/worker//0123456789abcdef"));
  for (const char* path : {"/c/worker/0123456789abcde", "/c/worker/0123456789abcdeg", "/c/worker/0123456789ABCDEF",
                           "/c/worker/x/0123456789abcdef", "/c/0123456789abcdef", "0123456789abcdef", ""}) {
    EXPECT_FALSE(cache.Owns(path)) << path;
  }
  EXPECT_FALSE(WeightCache("", 1).Owns("/0123456789abcdef"));
}

TEST_F(WeightCacheTest, WhatWasUsedLeastRecentlyGoesFirst) {
  const std::string oldest = Piece(std::string(100, 'a'), minutes(30)), old = Piece(std::string(100, 'b'), minutes(20)),
                    young = Piece(std::string(100, 'c'), minutes(10));
  const WeightCache cache(tree_.Path(""), 300);
  EXPECT_TRUE(cache.MakeRoom(0, Now()));
  EXPECT_TRUE(fs::exists(oldest));
  EXPECT_TRUE(cache.Use(oldest)) << "it is the youngest now";
  EXPECT_TRUE(cache.MakeRoom(120, Now() - minutes(1)));
  EXPECT_TRUE(fs::exists(oldest));
  EXPECT_FALSE(fs::exists(old));
  EXPECT_FALSE(fs::exists(young));
}

TEST_F(WeightCacheTest, WhatIsInUseStays) {
  const std::string old = Piece(std::string(100, 'a'), minutes(30)), used = Piece(std::string(100, 'b'), minutes(5));
  const WeightCache cache(tree_.Path(""), 200);
  EXPECT_FALSE(cache.MakeRoom(150, Now() - minutes(10))) << "not even without the old one";
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(used));
  EXPECT_TRUE(cache.MakeRoom(100, Now() - minutes(10)));
  EXPECT_FALSE(cache.MakeRoom(201, Now()));
}

TEST_F(WeightCacheTest, FilesOfOthersStay) {
  const std::string note = Aged(tree_.File("notes.txt", std::string(500, 'x')), minutes(60)),
                    folder = tree_.Path("0123456789abcdef");
  fs::create_directory(folder);
  fs::create_symlink(note, tree_.Path("00000000000000aa"));
  const std::string own = Piece(std::string(100, 'a'), minutes(30));
  EXPECT_TRUE(WeightCache(tree_.Path(""), 50).MakeRoom(10, Now()));
  EXPECT_FALSE(fs::exists(own));
  EXPECT_TRUE(fs::exists(note));
  EXPECT_TRUE(fs::exists(folder));
  EXPECT_TRUE(fs::is_symlink(tree_.Path("00000000000000aa")));
}

// A full disk, a kill or a power loss in the middle of a write: the server would take it for weights.
TEST_F(WeightCacheTest, WhatWasNotWrittenWholeIsNotUsed) {
  const WeightCache cache(tree_.Path(""), 1000);
  const std::string whole = Piece(std::string(100'000, 'a'), minutes(3));
  EXPECT_TRUE(cache.Use(whole));
  fs::resize_file(whole, 99'999);
  EXPECT_FALSE(cache.Use(whole));
  EXPECT_FALSE(fs::exists(whole));
  EXPECT_FALSE(cache.Use(whole));
}

}  // namespace
}  // namespace headrace
