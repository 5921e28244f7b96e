#include "serve/models/prompt_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/temporary_tree.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;

class PromptFilesTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(files_.Prepare().ok()); }
  Status Write(uint64_t key, uint64_t slot, const std::string& text, uint64_t bytes) {
    std::ofstream(files_.folder() + "/" + files_.UnfinishedName(key, slot)) << text;
    return files_.Keep(key, slot, bytes);
  }
  Status Write(uint64_t key, uint64_t slot, const std::string& text) { return Write(key, slot, text, text.size()); }
  std::string Path(const PromptFiles::File& file) const { return files_.folder() + "/" + file.name; }
  size_t Count() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(files_.folder()), fs::directory_iterator()));
  }

  TemporaryTree tree_;
  PromptFiles files_{tree_.Path("a/prompts"), 100};
};

TEST_F(PromptFilesTest, KeepsTheLastOfEachSlot) {
  ASSERT_TRUE(Write(7, 0, "first").ok());
  ASSERT_TRUE(Write(7, 0, "second").ok());
  ASSERT_TRUE(Write(7, 1, "other").ok());
  ASSERT_TRUE(Write(8, 0, "of another model").ok());
  const auto found = files_.Find(7);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].slot, 0u);
  EXPECT_EQ(found[0].bytes, 6u);
  EXPECT_TRUE(files_.Check(found[0]));
  EXPECT_EQ(Count(), 3u);
  EXPECT_EQ(fs::status(Path(found[0])).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(PromptFilesTest, WhatIsDamagedGoes) {
  ASSERT_TRUE(Write(7, 0, "text").ok());
  const auto found = files_.Find(7);
  ASSERT_EQ(found.size(), 1u);
  std::ofstream(Path(found[0])) << "tixt";
  EXPECT_FALSE(files_.Check(found[0]));
  EXPECT_EQ(Count(), 0u);
}

TEST_F(PromptFilesTest, WhatWasNotWrittenAsAWholeLeavesTheOldOne) {
  ASSERT_TRUE(Write(7, 0, "text").ok());
  EXPECT_FALSE(Write(7, 0, "lon", 6).ok());
  EXPECT_FALSE(files_.Keep(7, 1, 5).ok()) << "nothing was written";
  ASSERT_EQ(files_.Find(7).size(), 1u);
  EXPECT_TRUE(files_.Check(files_.Find(7)[0]));
  EXPECT_EQ(Count(), 1u);
}

TEST_F(PromptFilesTest, TheOldestGoAndOtherFilesStay) {
  std::ofstream(files_.folder() + "/letter.txt") << std::string(500, 'x');
  std::ofstream(files_.folder() + "/7-0-1.kv") << "not our way to write it";
  ASSERT_TRUE(Write(1, 0, std::string(40, 'a')).ok());
  ASSERT_TRUE(Write(2, 0, std::string(40, 'b')).ok());
  files_.Touch(files_.Find(1)[0]);
  ASSERT_TRUE(Write(3, 0, std::string(40, 'c')).ok());
  EXPECT_EQ(files_.Find(1).size(), 1u);
  EXPECT_EQ(files_.Find(2).size(), 0u);
  EXPECT_EQ(files_.Find(3).size(), 1u);
  EXPECT_EQ(Count(), 4u);
}

TEST_F(PromptFilesTest, WhatWasLeftUnfinishedGoes) {
  std::ofstream(files_.folder() + "/0000000000000007-0-2147483647.part") << "of a process that cannot be";
  std::ofstream(files_.folder() + "/" + files_.UnfinishedName(7, 1)) << "of this one";
  std::ofstream(files_.folder() + "/movie.part") << "somebody's own";
  ASSERT_TRUE(files_.Prepare().ok());
  EXPECT_EQ(Count(), 2u);
}

}  // namespace
}  // namespace headrace::serve
