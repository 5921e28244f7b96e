#include "run/prompt_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <gtest/gtest.h>

#include "base/standard_streams.h"
#include "base/temporary_tree.h"

namespace headrace::run {
namespace {

std::string TextOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(PromptFile, ARegularFileStaysWhereItIs) {
  const TemporaryTree tree;
  const std::string path = tree.File("prompt.txt", "text");
  const auto file = PromptFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->path(), path);
}

TEST(PromptFile, WhatCanBeReadOnceCanBeReadAgain) {
  const TemporaryTree tree;
  const std::string pipe = tree.Path("pipe"), text(300'000, 'x');
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] {
    const Descriptor end(open(pipe.c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(WriteAll(end.get(), text), 0);
  });
  const auto file = PromptFile::Open(pipe);
  writer.join();
  ASSERT_TRUE(file.ok()) << file.status().message();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(TextOf(file->path()), text);
}

TEST(PromptFile, Errors) {
  const TemporaryTree tree;
  const auto error = [](const std::string& path) {
    const auto file = PromptFile::Open(path);
    return file.ok() ? "" : file.status().message();
  };
  EXPECT_NE(error(tree.Path("absent")).find("No such file"), std::string::npos);
  EXPECT_NE(error(tree.Path("")).find("Is a directory"), std::string::npos);
  EXPECT_NE(error("/dev/zero").find("longer than 256 MiB"), std::string::npos);
  for (const std::string& empty : {tree.File("empty", ""), tree.File("line_break", "\n"), std::string("/dev/null")})
    EXPECT_NE(error(empty).find("the prompt is empty: there is no text in " + empty), std::string::npos) << empty;
  EXPECT_EQ(error(tree.File("blank", " ")), "");
  EXPECT_NE(error("/proc/self/mem"), "") << "reading it fails";
  std::filesystem::resize_file(tree.File("sparse"), uint64_t{1} << 40);
  EXPECT_NE(error(tree.Path("sparse")).find("longer than"), std::string::npos);
}

}  // namespace
}  // namespace headrace::run
