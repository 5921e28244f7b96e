#include "commands/system_info.h"

#include <gtest/gtest.h>

#include "base/text_file_test.h"

namespace headrace::cli {
namespace {

TEST(Selected, Bracketed) {
  EXPECT_EQ(ParseSelected("always [madvise] never\n"), "madvise");
  EXPECT_EQ(ParseSelected("none"), "");
  EXPECT_EQ(ParseSelected("[broken"), "");
}

TEST(ReadAhead, OfAPartitionIsItsDisks) {
  EXPECT_EQ(ReadAheadKib(TextFiles({{"/sys/dev/block/259:2/../queue/read_ahead_kb", "128\n"}}), 259, 2), 128u);
  EXPECT_EQ(ReadAheadKib(TextFiles({{"/sys/class/bdi/0:44/read_ahead_kb", "4096\n"}}), 0, 44), 4096u);
  EXPECT_FALSE(ReadAheadKib(TextFiles({}), 1, 2));
}

TEST(FileSystem, Names) {
  EXPECT_EQ(FileSystemName(0xef53), "ext4");
  EXPECT_EQ(FileSystemName(0x1234), "type 0x1234");
}

}  // namespace
}  // namespace headrace::cli
