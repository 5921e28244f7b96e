#include "engine/file_arguments.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include <gtest/gtest.h>

#include "base/temporary_tree.h"

namespace headrace::cli {
namespace {

using Words = std::vector<std::string>;

TEST(AdapterFiles, AreAllThatAreNamed) {
  EXPECT_EQ(AdapterFiles({"--lora", "a,b", "-c", "1", "--lora", "c"}), (Words{"a", "b", "c"}));
  EXPECT_EQ(
      AdapterFiles({"--lora-scaled", "a:0.5,dir/b:1", "--control-vector-scaled", "v:-1", "--control-vector", "w"}),
      (Words{"a", "dir/b", "v", "w"}));
  EXPECT_EQ(AdapterFiles({"--lora"}), Words());
  EXPECT_EQ(AdapterFiles({"-m", "x.gguf", "--temp", "1"}), Words());
  EXPECT_EQ(AdapterFiles({"--lora", "a.gguf,b.gguf", "--control-vector", "c.gguf"}),
            (Words{"a.gguf", "b.gguf", "c.gguf"}));
  EXPECT_EQ(AdapterFiles({"--lora-scaled", "a.gguf:0.5,/x:y/b.gguf:2", "--control-vector-scaled", "c.gguf:-1"}),
            (Words{"a.gguf", "/x:y/b.gguf", "c.gguf"}));
  EXPECT_EQ(AdapterFiles({"--lora", R"("a,1.gguf",b.gguf)"}), (Words{"a,1.gguf", "b.gguf"}));
  EXPECT_EQ(AdapterFiles({"--lora", R"("a""1.gguf")"}), Words{"a\"1.gguf"});
}

TEST(ListFields, AsTheEnginePartsThem) {
  EXPECT_EQ(ListFields("a,b"), (Words{"a", "b"}));
  EXPECT_EQ(ListFields("\"a,b\",c"), (Words{"a,b", "c"}));
  EXPECT_EQ(ListFields("\"a \"\"q\"\",b\""), Words{"a \"q\",b"});
  EXPECT_EQ(ListFields("a \"q\" b"), Words{"a \"q\" b"});
  EXPECT_EQ(ListFields(""), Words{""});
}

TEST(ListFields, AFieldComesBackWhole) {
  for (const char* text : {"plain", "with, comma", "with \"quotes\"", "\"both\", and more", ",", "\"", "a,\"b", ""}) {
    EXPECT_EQ(ListFields(ListField(text) + ",next"), (Words{text, "next"})) << text;
  }
  EXPECT_EQ(ListField("/models/plain.gguf"), "/models/plain.gguf");
}

class FileArguments : public testing::Test {
 protected:
  std::string ErrorOf(const Words& arguments) {
    const Status status = CheckFileArguments(arguments);
    return status.ok() ? "" : status.message();
  }
  static std::string Good() { return HEADRACE_SOURCE_DIR "/models/austen-draft-f16.gguf"; }
  TemporaryTree tree_;
};

TEST_F(FileArguments, GoodFilesAndOtherWords) {
  std::filesystem::copy_file(Good(), tree_.Path("a, b:c.gguf"));
  const std::string comma = ListField(tree_.Path("a, b:c.gguf"));
  EXPECT_EQ(ErrorOf({}), "");
  EXPECT_EQ(ErrorOf({"-c", "512", "--temp", "0", "-md", Good(), "--lora", Good() + "," + comma, "--lora-scaled",
                     comma + ":0.5"}),
            "");
  EXPECT_EQ(ErrorOf({"--grammar-file", "absent", "--lora"}), "");
}

// None may hang, whatever it is.
TEST_F(FileArguments, BadOnesAreNamedWithTheirOption) {
  const std::string pipe = tree_.Path("pipe.gguf");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::filesystem::create_symlink("loop.gguf", tree_.Path("loop.gguf"));
  const std::string half = tree_.File("half.gguf", std::string("GGUF\3\0\0\0", 8));
  for (const char* option :
       {"-md", "--model-draft", "--spec-draft-model", "-mm", "--mmproj", "--lora", "--control-vector"}) {
    for (const std::string& path :
         {pipe, tree_.Path("absent.gguf"), tree_.Path(""), tree_.Path("loop.gguf"), half, std::string("/dev/zero")}) {
      const std::string error = ErrorOf({option, path});
      EXPECT_TRUE(error.starts_with(std::string(option) + ": " + path)) << option << " " << path << ": " << error;
    }
  }
  EXPECT_NE(ErrorOf({"--lora", Good() + "," + pipe}).find("not a regular file"), std::string::npos);
  EXPECT_NE(ErrorOf({"--control-vector-scaled", pipe + ":1"}).find("not a regular file"), std::string::npos);
}

}  // namespace
}  // namespace headrace::cli
