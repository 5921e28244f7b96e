#include "gguf/header_cursor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "gguf/gguf_test.h"

namespace headrace {
namespace {

class HeaderCursorTest : public GgufTest {
 protected:
  Descriptor Open(const std::string& text) const {
    return Descriptor(::open(WriteText("file", text).c_str(), O_RDONLY | O_CLOEXEC));
  }
};

TEST_F(HeaderCursorTest, ReadsNumbersAndTexts) {
  const Descriptor file = Open(std::string("\x01\x02\x03\0\0\0\0\0\0\0abcZ", 14));
  HeaderCursor cursor(file.get(), 14, "name");
  uint16_t number = 0;
  ASSERT_TRUE(cursor.Read(&number));
  EXPECT_EQ(number, 0x0201);
  std::string text;
  ASSERT_TRUE(cursor.ReadString(2, &text));
  EXPECT_EQ(text, "ab");  // the rest of it is skipped
  char last = 0;
  ASSERT_TRUE(cursor.Read(&last));
  EXPECT_EQ(last, 'Z');
  EXPECT_EQ(cursor.remaining(), 0u);
}

TEST_F(HeaderCursorTest, TextsLongerThanTheBuffer) {
  const std::string text(700000, 't');
  const uint64_t length = text.size();
  const Descriptor file =
      Open(std::string(reinterpret_cast<const char*>(&length), 8) + text + "Z" + std::string(300000, ' '));
  HeaderCursor cursor(file.get(), 1000009, "name");
  std::string read;
  char next = 0;
  ASSERT_TRUE(cursor.ReadString(text.size(), &read));
  EXPECT_EQ(read, text);
  ASSERT_TRUE(cursor.Read(&next));
  EXPECT_EQ(next, 'Z');
}

TEST_F(HeaderCursorTest, AFailureStays) {
  const Descriptor file = Open("abcdef");
  HeaderCursor cursor(file.get(), 6, "name");
  char byte = 0;
  uint64_t wide = 0;
  ASSERT_TRUE(cursor.Read(&byte));
  EXPECT_FALSE(cursor.Read(&wide));
  EXPECT_EQ(cursor.status().code(), Code::kCorrupt);
  EXPECT_NE(cursor.status().message().find("needs 8 bytes at offset 1, but the file ends at 6"), std::string::npos)
      << cursor.status().message();
  EXPECT_FALSE(cursor.Read(&byte));
  EXPECT_FALSE(cursor.Skip(0));
  EXPECT_FALSE(cursor.Expect(0, 1));
}

TEST_F(HeaderCursorTest, AFileThatShrankMeanwhile) {
  const Descriptor file = Open("abcd");
  HeaderCursor cursor(file.get(), 100, "name");
  uint64_t wide = 0;
  EXPECT_FALSE(cursor.Read(&wide));
  EXPECT_EQ(cursor.status().code(), Code::kChanged);
  EXPECT_NE(cursor.status().message().find("name: became shorter"), std::string::npos);
}

TEST_F(HeaderCursorTest, AReadThatFailsSaysWhereAndWhy) {
  HeaderCursor cursor(-1, 100, "name");
  char byte = 0;
  EXPECT_FALSE(cursor.Read(&byte));
  EXPECT_EQ(cursor.status().code(), Code::kIo);
  EXPECT_NE(cursor.status().message().find("reading 100 bytes at offset 0 failed: Bad file descriptor (errno 9)"),
            std::string::npos)
      << cursor.status().message();
}

TEST(Printable, HidesControlCharactersAndCuts) {
  EXPECT_EQ(Printable("a\x1b\n\x7f\xc3\xa4"), "a???\xc3\xa4");
  EXPECT_EQ(Printable(std::string(81, 'x')), std::string(80, 'x') + "...");
}

}  // namespace
}  // namespace headrace
