#include "base/small_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>
#include <vector>

namespace headrace {
namespace {

namespace fs = std::filesystem;

class SmallFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::current_path() / "small-file-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string directory_;
};

TEST_F(SmallFile, IsReplacedInFoldersThatAreMade) {
  const std::string path = directory_ + "/a/b/file";
  EXPECT_EQ(ReadSmallFile(path, 100).status().code(), Code::kNotFound);
  ASSERT_TRUE(ReplaceFile(path, "old").ok());
  ASSERT_TRUE(ReplaceFile(path, std::string("new\0er", 6)).ok());
  EXPECT_EQ(*ReadSmallFile(path, 100), std::string("new\0er", 6));
  EXPECT_EQ(ReadSmallFile(path, 5).status().code(), Code::kCorrupt);
}

TEST_F(SmallFile, WhatIsNoFileIsRefusedWithoutWaiting) {
  EXPECT_EQ(ReadSmallFile(directory_, 100).status().code(), Code::kInvalidArgument);
  ASSERT_EQ(::mkfifo((directory_ + "/pipe").c_str(), 0600), 0);
  EXPECT_EQ(ReadSmallFile(directory_ + "/pipe", 100).status().code(), Code::kInvalidArgument);
  ASSERT_TRUE(ReplaceFile(directory_ + "/file", "x").ok());
  const Status under_a_file = ReplaceFile(directory_ + "/file/below", "y");
  EXPECT_FALSE(under_a_file.ok());
  EXPECT_NE(under_a_file.message().find(directory_ + "/file/below"), std::string::npos) << under_a_file.message();
  EXPECT_FALSE(ReplaceFile(directory_ + "/pipe/below", "y").ok());
}

TEST_F(SmallFile, ManyWritersNeverMix) {
  const std::string path = directory_ + "/file";
  std::vector<std::thread> writers;
  for (const char letter : {'a', 'b', 'c'}) {
    writers.emplace_back([&path, letter] {
      for (int i = 0; i < 100; ++i) EXPECT_TRUE(ReplaceFile(path, std::string(9000 + letter, letter)).ok());
    });
  }
  for (int i = 0; i < 300; ++i) {
    const auto bytes = ReadSmallFile(path, 100'000);
    if (bytes.ok()) {
      EXPECT_EQ(*bytes, std::string(9000 + bytes->front(), bytes->front()));
    }
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1) << "temporary files are left";
}

}  // namespace
}  // namespace headrace
