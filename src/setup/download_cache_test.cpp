#include "setup/download_cache.h"

#include <map>

#include <gtest/gtest.h>

#include "base/temporary_tree.h"

namespace headrace::cli {
namespace {

class DownloadCacheTest : public testing::Test {
 protected:
  static constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

  DownloadCache Cache() const {
    return DownloadCache([this](const char* name) {
      const auto found = variables_.find(name);
      return found == variables_.end() ? nullptr : found->second.c_str();
    });
  }
  // A file of USER/NAME in Hugging Face's layout.
  std::string HubFile(const std::string& file, const std::string& content = "GGUF") {
    tree_.File("home/.cache/huggingface/hub/models--user--name/refs/main", kCommit);
    return tree_.File(std::string("home/.cache/huggingface/hub/models--user--name/snapshots/") + kCommit + "/" + file,
                      content);
  }
  std::string Model(const std::string& repository, const std::string& file = "") {
    const auto found = Cache().FindRepository(repository, file);
    return found ? found->path : "";
  }

  TemporaryTree tree_;
  std::map<std::string, std::string> variables_ = {{"HOME", tree_.Path("home")}};
};

TEST_F(DownloadCacheTest, TheQuantizationThatWasAskedForElseTheUsualOne) {
  const std::string small = HubFile("m-Q4_0.gguf"), usual = HubFile("m-Q4_K_M.gguf"),
                    deep = HubFile("BF16/m-BF16-00001-of-00002.gguf");
  HubFile("BF16/m-BF16-00002-of-00002.gguf");
  HubFile("README.md");
  EXPECT_EQ(Model("user/name:Q4_0"), small);
  EXPECT_EQ(Model("user/name:q4_0"), small) << "in either case";
  EXPECT_EQ(Model("user/name:BF16"), deep) << "its first part";
  EXPECT_EQ(Model("user/name"), usual);
  EXPECT_EQ(Model("user/name:Q4_K"), "") << "no part of a longer name";
  EXPECT_EQ(Model("user/name", "M-Q4_0.GGUF"), small);
  EXPECT_EQ(Model("user/name", "other.gguf"), "");
  EXPECT_EQ(Model("user/other:Q4_0"), "");
}

TEST_F(DownloadCacheTest, AFileOfAnotherKindIsNoModel) {
  HubFile("mmproj-m-Q8_0.gguf", "a");
  HubFile("imatrix-Q8_0.gguf");
  EXPECT_EQ(Model("user/name"), "");
  const std::string only = HubFile("m-Q5_K.gguf"), larger = HubFile("mmproj-f16.gguf", "abc");
  HubFile("elsewhere/mmproj-f32.gguf", "abcdef");
  const auto found = Cache().FindRepository("user/name", "");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->path, only);
  EXPECT_EQ(found->projector, larger);
}

// As llama.cpp chooses, also by names that nobody splits a model into.
TEST_F(DownloadCacheTest, OnlyTheFirstPartIsAModel) {
  for (const char* later : {"m-Q8_0-00002-of-00003.gguf", "m-Q8_0-00000-of-00003.gguf", "m-Q8_0-00004-of-00003.gguf"}) {
    const std::string path = HubFile(later);
    EXPECT_EQ(Model("user/name:Q8_0"), "") << later;
    std::filesystem::remove(path);
  }
  for (const char* whole : {"m-Q8_0-00001-of-00003.gguf", "m-Q8_0-00002-of-00001.gguf", "m-Q8_0-00002-of-0000x.gguf",
                            "m-Q8_0-0002-of-00003.gguf"}) {
    const std::string path = HubFile(whole);
    EXPECT_EQ(Model("user/name:Q8_0"), path);
    std::filesystem::remove(path);
  }
}

TEST_F(DownloadCacheTest, AnUnfinishedDownloadIsNotFound) {
  const std::string model = HubFile("m-Q4_0.gguf");
  EXPECT_EQ(Model("user/name"), model);
  std::filesystem::remove(model);
  std::filesystem::create_symlink("../../blobs/absent", model);
  EXPECT_EQ(Model("user/name"), "");
}

TEST_F(DownloadCacheTest, NamesThatLeadElsewhereAreNone) {
  HubFile("m-Q4_0.gguf");
  for (const char* name : {"", "user", "user/", "/name", "../name", "user/..", "user/name/more", "user//name",
                           "us er/name", "user/name/../../x:Q4_0"}) {
    EXPECT_EQ(Model(name), "") << name;
    EXPECT_FALSE(Cache().HasPreset(name)) << name;
  }
  EXPECT_EQ(Cache().FindUrl(""), std::nullopt);
  EXPECT_EQ(Cache().FindUrl("https://host/folder/"), std::nullopt);
}

TEST_F(DownloadCacheTest, FoldersByTheirVariables) {
  HubFile("m-Q4_0.gguf");
  for (const auto& [variable, folder] : {std::pair{"XDG_CACHE_HOME", "xdg/huggingface/hub"},
                                         std::pair{"HF_HOME", "hf/hub"}, std::pair{"HUGGINGFACE_HUB_CACHE", "old"},
                                         std::pair{"HF_HUB_CACHE", "hub"}, std::pair{"LLAMA_CACHE", "llama"}}) {
    std::string base = folder;
    variables_[variable] = tree_.Path(base.substr(0, base.find('/')));
    EXPECT_EQ(Model("user/name"), "") << variable << " goes before those behind it";
    std::filesystem::create_directories(tree_.Path(base));
    std::filesystem::copy(tree_.Path("home/.cache/huggingface/hub"), tree_.Path(base),
                          std::filesystem::copy_options::recursive);
    EXPECT_TRUE(Model("user/name").starts_with(tree_.Path(base))) << variable;
  }
}

TEST_F(DownloadCacheTest, ARepositoryCanBringAPreset) {
  EXPECT_FALSE(Cache().HasPreset("user/name"));
  HubFile("preset.ini");
  EXPECT_TRUE(Cache().HasPreset("user/name:Q4_0"));
}

TEST_F(DownloadCacheTest, OlderReleasesKeptAManifest) {
  const std::string cache = "home/.cache/llama.cpp/";
  tree_.File(cache + "manifest=user=name=latest.json",
             R"({"ggufFile": {"rfilename": "sub/m.gguf"}, "mmprojFile": {"rfilename": "mmproj.gguf"}})");
  EXPECT_EQ(Model("user/name"), "") << "not there yet";
  const std::string model = tree_.File(cache + "user_name_sub_m.gguf"),
                    projector = tree_.File(cache + "user_name_mmproj.gguf");
  const auto found = Cache().FindRepository("user/name", "");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->path, model);
  EXPECT_EQ(found->projector, projector);
  EXPECT_EQ(Model("user/name:Q8_0"), "") << "another manifest's";
  EXPECT_EQ(Model("user/name", "sub/m.gguf"), model);
  for (const char* odd : {"", "[]", "{\"ggufFile\": 1}", R"({"ggufFile": {"rfilename": ""}})"}) {
    tree_.File(cache + "manifest=user=name=odd.json", odd);
    EXPECT_EQ(Model("user/name:odd"), "") << odd;
  }
}

TEST_F(DownloadCacheTest, UrlsAndDockersModels) {
  const std::string model = tree_.File("home/.cache/llama.cpp/m.gguf"),
                    docker = tree_.File("home/.cache/llama.cpp/ai_gemma3_latest.gguf");
  EXPECT_EQ(Cache().FindUrl("https://host/folder/m.gguf?download=true#x"), model);
  EXPECT_EQ(Cache().FindUrl("https://host/folder/other.gguf"), std::nullopt);
  EXPECT_EQ(Cache().FindDockerModel("gemma3"), docker);
  EXPECT_EQ(Cache().FindDockerModel("ai/gemma3:latest"), docker);
  EXPECT_EQ(Cache().FindDockerModel("gemma3:4B"), std::nullopt);
}

}  // namespace
}  // namespace headrace::cli
