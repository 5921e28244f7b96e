#include "serve/model_files.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "cli/temporary_tree.h"

namespace headrace::serve {
namespace {

namespace fs = std::filesystem;

class ModelFilesTest : public ::testing::Test {
 protected:
  void Link(const std::string& target, const std::string& name) {
    tree_.File("lib/placeholder");
    fs::create_directories(fs::path(tree_.Path(name)).parent_path());
    fs::create_symlink(target, tree_.Path(name));
  }
  std::vector<ModelFile> Find(const std::vector<std::string>& files = {}) const { return FindModelFiles(tree_.Path("lib"), files); }
  std::vector<std::string> Ids(const std::vector<std::string>& files = {}) const {
    std::vector<std::string> ids;
    for (const ModelFile& file : Find(files)) ids.push_back(file.id);
    return ids;
  }
  using Names = std::vector<std::string>;

  cli::TemporaryTree tree_;
};

TEST_F(ModelFilesTest, LinkedFoldersAreLookedIntoOnce) {
  tree_.File("ext/a.gguf");
  tree_.File("ext/deep/c.gguf");
  tree_.File("lib/real/b.gguf");
  Link("../ext", "lib/ext");
  Link("../ext", "lib/again");
  Link("..", "lib/aloop");
  Link(".", "lib/here");
  Link("../../lib", "lib/real/loop");
  Link("../lib", "ext/back");
  Link("nowhere", "lib/dangling");
  Link("nowhere.gguf", "lib/dangling.gguf");
  EXPECT_EQ(Ids(), Names({"again/a", "again/deep/c", "real/b"}));
}

TEST_F(ModelFilesTest, FoldersThatAreNoLinksNameTheirModels) {
  tree_.File("lib/z/m.gguf");
  Link("z", "lib/a");
  EXPECT_EQ(Ids(), Names({"z/m"}));
}

TEST_F(ModelFilesTest, AFileOfSeveralNamesIsOneModel) {
  tree_.File("lib/sub/long-name.gguf");
  Link("sub/long-name.gguf", "lib/a.gguf");
  fs::create_hard_link(tree_.Path("lib/sub/long-name.gguf"), tree_.Path("lib/sub/z.gguf"));
  ASSERT_EQ(Ids(), Names({"sub/long-name"}));
  EXPECT_EQ(Find()[0].other_names, Names({"sub/z", "a"}));
}

TEST_F(ModelFilesTest, TooDeepFoldersAreLeftOut) {
  tree_.File("lib/1/2/3/4/5/6/in.gguf");
  tree_.File("lib/1/2/3/4/5/6/7/out.gguf");
  EXPECT_EQ(Ids(), Names({"1/2/3/4/5/6/in"}));
}

TEST_F(ModelFilesTest, WhatIsNamedLikeAModel) {
  tree_.File("lib/A.GGUF");
  tree_.File("lib/b.Gguf");
  tree_.File("lib/._b.gguf");
  tree_.File("lib/.hidden.gguf");
  tree_.File("lib/c.gguf.part");
  tree_.File("lib/d-00002-of-00002.gguf");
  tree_.File("lib/folder.gguf/e.gguf");
  EXPECT_EQ(Ids(), Names({".hidden", "A", "b", "folder.gguf/e"}));
}

TEST_F(ModelFilesTest, EachOfTwoOfOneNameIsListed) {
  for (const char* name : {"x.gguf", "x.GGUF", "x-00001-of-00002.gguf", "x-00002-of-00002.gguf", "x-00001-of-00003.gguf"}) tree_.File(std::string("lib/") + name);
  EXPECT_EQ(Ids(), Names({"x", "x-00001-of-00002", "x-00001-of-00003", "x.GGUF"}));
  EXPECT_EQ(Find()[0].path, tree_.Path("lib/x.gguf"));
  // Alone it has the short name.
  fs::remove(tree_.Path("lib/x.gguf"));
  fs::remove(tree_.Path("lib/x.GGUF"));
  fs::remove(tree_.Path("lib/x-00001-of-00003.gguf"));
  EXPECT_EQ(Ids(), Names({"x"}));
}

TEST_F(ModelFilesTest, TheCommandLinesFile) {
  tree_.File("lib/x.gguf");
  tree_.File("lib/sub/y.gguf");
  tree_.File("lib/lib/x.gguf");
  tree_.File("other/x.gguf");
  EXPECT_EQ(Ids({tree_.Path("other/x.gguf")}), Names({tree_.Path("lib/x.gguf"), "lib/x", "sub/y", "x"}))
      << "lib/x is another one's natural name";
  const auto inside = Find({tree_.Path("lib/sub/y.gguf")});
  ASSERT_EQ(inside.size(), 3u);
  EXPECT_EQ(inside[1].id, "sub/y");
  EXPECT_EQ(inside[1].other_names, Names({tree_.Path("lib/sub/y.gguf"), "y"}));
  // One that is gone is a model whose error is said when it is read.
  EXPECT_EQ(FindModelFiles("", {tree_.Path("gone.gguf")}).size(), 1u);
}

TEST_F(ModelFilesTest, AnyPartOfASplitModelNamesIt) {
  tree_.File("other/s-00001-of-00002.gguf");
  tree_.File("other/s-00002-of-00002.gguf");
  const auto found = FindModelFiles("", {tree_.Path("other/s-00002-of-00002.gguf")});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].id, "s");
  EXPECT_EQ(found[0].path, tree_.Path("other/s-00001-of-00002.gguf"));
  EXPECT_EQ(found[0].other_names.front(), tree_.Path("other/s-00002-of-00002.gguf"));
}

TEST(NameAsText, WhatIsNoTextIsWrittenOut) {
  EXPECT_EQ(NameAsText("sub/ünï 100%.x"), "sub/ünï 100%.x");
  EXPECT_EQ(NameAsText("a\xff\xfe"), "a%FF%FE");
  EXPECT_EQ(NameAsText("a\nb\x1b[2J\x7f"), "a%0Ab%1B[2J%7F");
  EXPECT_EQ(NameAsText("a\xc2\x9bz"), "a%C2%9Bz") << "a control character in two bytes";
  EXPECT_EQ(NameAsText("cut \xe2\x82"), "cut %E2%82");
}

}  // namespace
}  // namespace headrace::serve
