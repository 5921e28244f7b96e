#include "setup/modelfile_use.h"

#include <gtest/gtest.h>

#include "base/temporary_tree.h"

namespace headrace::cli {
namespace {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class FindModelfileTest : public testing::Test {
 protected:
  std::string ErrorOf(const std::string& model, const std::string& file, bool beside = true) {
    const auto use = FindModelfile(model, file, beside);
    return use.ok() ? "" : use.status().message();
  }
  TemporaryTree tree_;
};

TEST_F(FindModelfileTest, FromNamesTheModelBesideIt) {
  const std::string model = tree_.File("sub/m.gguf", "x"), file = tree_.File("sub/My", "FROM m.gguf\n");
  const auto use = FindModelfile("", file, true);
  ASSERT_TRUE(use.ok()) << use.status().message();
  EXPECT_EQ(std::filesystem::canonical(use->model), std::filesystem::canonical(model));
  EXPECT_EQ(FindModelfile("other.gguf", file, true)->model, "other.gguf") << "the command line wins";
  EXPECT_TRUE(Has(ErrorOf("", tree_.File("A", "FROM llama3:8b\n")), "is not a file"));
  EXPECT_TRUE(Has(ErrorOf("", tree_.File("B", "FLASH on\n")), "no FROM line"));
  EXPECT_TRUE(
      Has(ErrorOf("", tree_.File("C", "FROM sub/m.gguf\nADAPTER none.gguf\n")), "ADAPTER none.gguf is not a file"));
  EXPECT_TRUE(Has(ErrorOf("", ""), "a model is needed"));
  EXPECT_NE(ErrorOf("", tree_.Path("absent")), "");
}

TEST_F(FindModelfileTest, BesideTheModel) {
  const std::string model = tree_.File("m.gguf", "x"), other = tree_.File("other.gguf", "y");
  EXPECT_EQ(FindModelfile(model, "", true)->path, "");
  tree_.File("Modelfile", "FROM ./m.gguf\nFLASH on\n");
  EXPECT_EQ(FindModelfile(model, "", true)->path, tree_.Path("Modelfile"));
  EXPECT_EQ(FindModelfile(model, "", false)->path, "");
  EXPECT_EQ(FindModelfile(other, "", true)->path, "") << "it is another model's";
  EXPECT_TRUE(DescribeModelfile(*FindModelfile(other, "", true), {}).empty());
  tree_.File("Modelfile", "FROM llama3.2:latest\nFLASH on\n");
  const auto unknown = FindModelfile(model, "", true);
  ASSERT_TRUE(unknown.ok());
  EXPECT_EQ(unknown->path, "");
  ASSERT_EQ(DescribeModelfile(*unknown, {}).size(), 1u);
  EXPECT_TRUE(Has(DescribeModelfile(*unknown, {})[0], "FROM llama3.2:latest is not a file"));
  tree_.File("Modelfile", "FLASH on\n");
  EXPECT_EQ(FindModelfile(other, "", true)->file.flash_mode, FlashMode::kOn) << "it is any model's";
  tree_.File("Modelfile", "FLASH_X on\n");
  EXPECT_TRUE(Has(ErrorOf(model, ""), "--no-modelfile"));
  EXPECT_EQ(ErrorOf(model, "", false), "");
}

TEST(EngineOptionsOf, ExpertsForEachToken) {
  ModelfileUse use;
  use.path = "Modelfile";
  use.adapter = "l, x.gguf";
  use.file = ParseModelfile("PARAMETER top_k 3\nFLASH_TOP_K 2", "Modelfile").value();
  Catalogue catalogue;
  catalogue.architecture = "qwen3moe";
  EXPECT_TRUE(Has(EngineOptionsOf(use, catalogue).status().message(), "not a mixture of experts"));
  catalogue.experts = 8;
  catalogue.experts_used = 4;
  const auto options = EngineOptionsOf(use, catalogue);
  ASSERT_TRUE(options.ok());
  ASSERT_EQ(options->size(), 3u);
  EXPECT_EQ((*options)[1].value, "\"l, x.gguf\"") << "the engine parts its list at commas";
  EXPECT_EQ((*options)[2].value, "qwen3moe.expert_used_count=int:2");
  const auto lines = DescribeModelfile(use, catalogue);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(Has(lines[1], "answers change")) << lines[1];
  catalogue.experts = 1;
  EXPECT_TRUE(Has(EngineOptionsOf(use, catalogue).status().message(), "more than the model's 1 experts"));
}

}  // namespace
}  // namespace headrace::cli
