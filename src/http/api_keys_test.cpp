#include "http/api_keys.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "base/say.h"
#include "base/temporary_tree.h"

namespace headrace::serve {
namespace {

using Keys = std::vector<std::string>;

TEST(ApiKeys, OfArguments) {
  EXPECT_EQ(*SplitKeys({}), Keys{});
  EXPECT_EQ(*SplitKeys({"a"}), Keys{"a"});
  EXPECT_EQ(*SplitKeys({"a,b", ",c,"}), (Keys{"a", "b", "c"}));
  for (const char* none : {"", ",", " ", " , "}) EXPECT_FALSE(SplitKeys({"a", none}).ok()) << none;
  EXPECT_FALSE(SplitKeys({"a\nb"}).ok());
}

TEST(ApiKeys, OfAFile) {
  const TemporaryTree tree;
  EXPECT_EQ(*ReadKeyFile(tree.File("keys", "# of the team\nfirst\r\n\n  second with blanks \n  #third\nfourth,fifth#")),
            (Keys{"first", "second with blanks", "fourth,fifth#"}));
  EXPECT_EQ(ReadKeyFile(tree.Path("none")).status().code(), Code::kNotFound);
  for (const std::string& path :
       {tree.File("empty", ""), tree.File("blank", "\n \r\n"), tree.File("comments", "# none\n"),
        tree.File("binary", std::string("a\0b\n", 4)), tree.File("large", std::string(2 << 20, 'x')), tree.Path("")}) {
    const auto keys = ReadKeyFile(path);
    EXPECT_FALSE(keys.ok()) << path;
    EXPECT_NE(keys.status().message().find("--api-key-file"), std::string::npos) << keys.status().message();
  }
}

TEST(ApiKeys, AFileThatOthersMayRead) {
  const TemporaryTree tree;
  const std::string path = tree.File("keys", "secret\n");
  for (const auto& [mode, warned] :
       {std::pair{0644, true}, std::pair{0640, true}, std::pair{0600, false}, std::pair{0400, false}}) {
    ASSERT_EQ(chmod(path.c_str(), static_cast<mode_t>(mode)), 0);
    testing::internal::CaptureStderr();
    RememberStandardError();
    EXPECT_TRUE(ReadKeyFile(path).ok());
    const std::string line = testing::internal::GetCapturedStderr();
    RememberStandardError();
    EXPECT_EQ(line.find("chmod 600") != std::string::npos, warned) << mode << line;
    EXPECT_EQ(line.find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace headrace::serve
