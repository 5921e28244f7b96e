// For the tests of this folder: a second drive, and partial copies.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <utility>

#include "io/io_test_util.h"
#include "io/mirror_copy.h"

namespace headrace {

// A file system in memory is another device than the one of the working directory, which is all that readers look at.
inline constexpr const char* kOtherDrive = "/dev/shm";

// A file on this drive, and a folder on another one.
class TwoDrivesTest : public ::testing::Test {
 protected:
  void WriteOriginal(uint64_t bytes) {
    WriteTestFile(here_ / "model.gguf", bytes);
    auto file = SourceFile::Open(here_ / "model.gguf");
    ASSERT_TRUE(file.ok());
    original_ = std::move(*file);
  }

  TestDirectory here_;
  TestDirectory there_{kOtherDrive};
  SourceFile original_;
};

// A partial copy of a file that WriteTestFile wrote.
inline void WritePartialCopy(const std::string& path, const SourceFile& original, uint64_t share) {
  PartialHeader header;
  header.file_bytes = original.size();
  header.fingerprint = original.Fingerprint().value();
  header.share = share;
  const Stripes stripes(original.size(), share);
  std::string content = header.ToPage();
  for (uint64_t at = 0; at < original.size(); ++at) {
    if (stripes.Holds(at)) content.push_back(static_cast<char>(ByteAt(at)));
  }
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace headrace
