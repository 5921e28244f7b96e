#include "models/hub_removal.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/temporary_tree.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;

class HubRemoval : public ::testing::Test {
 protected:
  // As headrace pull leaves a file: a link in a version, to the file itself.
  void Pulled(const std::string& version, const std::string& name, const std::string& blob) {
    tree_.File(kRepository + "/blobs/" + blob, "12345");
    tree_.File(kRepository + "/refs/main", version);
    const fs::path link = Snapshot(version, name);
    fs::create_directories(link.parent_path());
    fs::create_symlink(fs::path("../../blobs") / blob, link);
  }
  std::string Snapshot(const std::string& version, const std::string& name) const {
    return tree_.Path(kRepository + "/snapshots/" + version + "/" + name);
  }
  bool There(const std::string& below) const { return fs::exists(tree_.Path(kRepository + below)); }
  Result<uint64_t> Remove(const std::string& path) const { return RemoveHubModel(tree_.Path("hub"), path); }

  const std::string kRepository = "hub/models--u--m";
  TemporaryTree tree_;
};

TEST_F(HubRemoval, LeavesNothingOfTheLastModel) {
  Pulled("a", "m-Q4_0.gguf", "one");
  Pulled("b", "m-Q4_0.gguf", "one");
  tree_.File("hub/models--u--other/blobs/two");
  const auto freed = Remove(Snapshot("b", "m-Q4_0.gguf"));
  ASSERT_TRUE(freed.ok()) << freed.status().message();
  EXPECT_EQ(*freed, 5u);
  EXPECT_FALSE(There("")) << "the older version had the same file";
  EXPECT_TRUE(fs::exists(tree_.Path("hub/models--u--other/blobs/two")));
}

TEST_F(HubRemoval, LeavesOtherModelsAndFiles) {
  Pulled("a", "m-Q4_0-00001-of-00002.gguf", "one");
  Pulled("a", "m-Q4_0-00002-of-00002.gguf", "two");
  Pulled("a", "m-Q8_0.gguf", "three");
  Pulled("a", "config.json", "four");
  const auto freed = Remove(Snapshot("a", "m-Q4_0-00001-of-00002.gguf"));
  ASSERT_TRUE(freed.ok()) << freed.status().message();
  EXPECT_EQ(*freed, 10u);
  EXPECT_FALSE(There("/blobs/one") || There("/blobs/two") || There("/snapshots/a/m-Q4_0-00002-of-00002.gguf"));
  EXPECT_TRUE(There("/blobs/three") && There("/blobs/four") && There("/refs/main"));
  EXPECT_TRUE(There("/snapshots/a/m-Q8_0.gguf") && There("/snapshots/a/config.json"));
}

TEST_F(HubRemoval, TouchesNothingElsewhere) {
  Pulled("a", "m-Q4_0.gguf", "one");
  tree_.File("mine/x.gguf", "mine");
  tree_.File("hub/x.gguf", "mine");
  tree_.File("hub/models--u--m/x.gguf", "mine");
  // A name in the cache that leads out of it.
  fs::create_symlink(tree_.Path("mine/x.gguf"), Snapshot("a", "x.gguf"));
  for (const std::string& path :
       {tree_.Path("mine/x.gguf"), tree_.Path("hub/x.gguf"), tree_.Path("hub/models--u--m/x.gguf"),
        tree_.Path("hub/models--u--m/snapshots/a/../../x.gguf"), Snapshot("a", "x.gguf"),
        tree_.Path("hub/models--u--m/snapshots/a/../../../../mine/x.gguf")}) {
    const auto freed = Remove(path);
    EXPECT_EQ(freed.status().code(), Code::kPermission) << path;
  }
  EXPECT_EQ(RemoveHubModel("", Snapshot("a", "m-Q4_0.gguf")).status().code(), Code::kPermission);
  EXPECT_TRUE(fs::exists(tree_.Path("mine/x.gguf")) && fs::exists(tree_.Path("hub/x.gguf")) && There("/x.gguf"));
  EXPECT_TRUE(There("/blobs/one"));
}

}  // namespace
}  // namespace headrace
