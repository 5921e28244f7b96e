#include "models/model_files.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include <gtest/gtest.h>

#include "base/descriptor.h"
#include "base/temporary_tree.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;

class ModelFilesTest : public ::testing::Test {
 protected:
  void Link(const std::string& target, const std::string& name) {
    tree_.File("lib/placeholder");
    fs::create_directories(fs::path(tree_.Path(name)).parent_path());
    fs::create_symlink(target, tree_.Path(name));
  }
  std::vector<ModelFile> Find(const std::vector<std::string>& files = {}) const {
    return FindModelFiles(PlacesOf({tree_.Path("lib")}), files);
  }
  std::vector<std::string> Ids(const std::vector<std::string>& files = {}) const {
    std::vector<std::string> ids;
    for (const ModelFile& file : Find(files)) ids.push_back(file.id);
    return ids;
  }
  using Names = std::vector<std::string>;

  TemporaryTree tree_;
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

TEST_F(ModelFilesTest, WhatTheKernelMakesUpHoldsNoModels) {
  tree_.File("ext/a.gguf");
  const Descriptor folder(open(tree_.Path("ext").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(folder.valid());
  Link("/proc/self/fd", "lib/processes");
  EXPECT_EQ(Ids(), Names());
}

TEST_F(ModelFilesTest, TheRootFolder) {
  tree_.File("lib/a.gguf");
  tree_.File("lib/sub/b.gguf");
  Link("..", "lib/sub/around");
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (chroot(tree_.Path("lib").c_str()) != 0 &&
        (unshare(CLONE_NEWUSER) != 0 || chroot(tree_.Path("lib").c_str()) != 0))
      _exit(2);
    std::string found;
    for (const ModelFile& file : FindModelFiles(PlacesOf({"/"}), {})) found += file.id + "=" + file.path + " ";
    _exit(found == "a=/a.gguf sub/b=/sub/b.gguf " ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2) GTEST_SKIP() << "cannot change the root folder here";
  EXPECT_EQ(status, 0);
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
  for (const char* name :
       {"x.gguf", "x.GGUF", "x-00001-of-00002.gguf", "x-00002-of-00002.gguf", "x-00001-of-00003.gguf"})
    tree_.File(std::string("lib/") + name);
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
  EXPECT_EQ(FindModelFiles({}, {tree_.Path("gone.gguf")}).size(), 1u);
}

TEST_F(ModelFilesTest, AnyPartOfASplitModelNamesIt) {
  tree_.File("other/s-00001-of-00002.gguf");
  tree_.File("other/s-00002-of-00002.gguf");
  const auto found = FindModelFiles({}, {tree_.Path("other/s-00002-of-00002.gguf")});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].id, "s");
  EXPECT_EQ(found[0].path, tree_.Path("other/s-00001-of-00002.gguf"));
  EXPECT_EQ(found[0].other_names.front(), tree_.Path("other/s-00002-of-00002.gguf"));
}

// A repository of the hub's cache with one file in one version.
class HubFilesTest : public ModelFilesTest {
 protected:
  static constexpr const char* kOld = "1111111111111111111111111111111111111111";
  static constexpr const char* kNew = "2222222222222222222222222222222222222222";
  void Hub(const std::string& name, const std::string& commit, const std::string& file, const std::string& blob) {
    const std::string folder = "lib/models--" + name;
    tree_.File(folder + "/blobs/" + blob);
    const std::string link = tree_.Path(folder + "/snapshots/" + commit + "/" + file);
    fs::create_directories(fs::path(link).parent_path());
    fs::create_symlink(tree_.Path(folder + "/blobs/" + blob), link);
  }
};

TEST_F(HubFilesTest, RepositoriesNameTheirFiles) {
  Hub("ggml-org--gemma-GGUF", kNew, "gemma-Q4_K_M.gguf", "a");
  Hub("ggml-org--gemma-GGUF", kNew, "sub/gemma-Q8_0-00001-of-00002.gguf", "b");
  Hub("ggml-org--gemma-GGUF", kNew, "sub/gemma-Q8_0-00002-of-00002.gguf", "c");
  Hub("ggml-org--gemma-GGUF", kNew, "mmproj-F16.gguf", "d");
  Hub("x--plain", kNew, "plain.gguf", "e");
  tree_.File("lib/models--x--empty/blobs/sha");
  EXPECT_EQ(Ids(), Names({"ggml-org/gemma-GGUF/mmproj-F16", "ggml-org/gemma-GGUF:Q4_K_M", "ggml-org/gemma-GGUF:Q8_0",
                          "x/plain/plain"}));
  const auto found = Find();
  EXPECT_EQ(found[1].path,
            tree_.Path("lib/models--ggml-org--gemma-GGUF/snapshots/" + std::string(kNew) + "/gemma-Q4_K_M.gguf"))
      << "a part finds the others beside it";
  EXPECT_EQ(found[1].other_names, Names({"ggml-org/gemma-GGUF/gemma-Q4_K_M", "gemma-Q4_K_M", "ggml-org/gemma-GGUF",
                                         "gemma-GGUF", "gemma-GGUF:Q4_K_M"}));
}

TEST_F(HubFilesTest, TheVersionOfMainGoesFirst) {
  Hub("u--m", kOld, "m-Q4_0.gguf", "a");
  Hub("u--m", kNew, "m-Q4_0.gguf", "b");
  Hub("u--m", kOld, "m-Q8_0.gguf", "c");
  tree_.File("lib/models--u--m/refs/main", kNew);
  EXPECT_EQ(Ids(), Names({"u/m/m-Q4_0", "u/m:Q4_0", "u/m:Q8_0"}));
  EXPECT_NE(Find()[1].path.find(kNew), std::string::npos);
}

TEST_F(ModelFilesTest, OllamasModelsHaveTheNamesOfTheirManifests) {
  const std::string digits(64, 'a'), gone(64, 'b');
  const auto manifest = [&](const std::string& name, const std::string& digest) {
    tree_.File("ollama/manifests/" + name,
               R"({"layers":[{"mediaType":"application/vnd.ollama.image.template","digest":"sha256:)" + gone +
                   R"("},{"mediaType":"application/vnd.ollama.image.model","digest":")" + digest + R"("}]})");
  };
  tree_.File("ollama/blobs/sha256-" + digits, "model");
  tree_.File("ollama/secret.gguf", "model");
  manifest("registry.ollama.ai/library/qwen3/30b", "sha256:" + digits);
  manifest("registry.ollama.ai/library/qwen3/latest", "sha256:" + digits);
  manifest("hf.co/u/m/Q4_0", "sha256:" + digits);
  manifest("registry.ollama.ai/library/gone/1b", "sha256:" + gone);
  manifest("registry.ollama.ai/library/evil/1b", "sha256:../../secret.gguf");
  tree_.File("ollama/manifests/registry.ollama.ai/library/bad/1b", "no JSON");
  const auto found = FindModelFiles({{tree_.Path("ollama"), true}}, {});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].id, "qwen3:30b");
  EXPECT_EQ(found[0].other_names, Names({"qwen3", "qwen3:latest", "hf.co/u/m:Q4_0", "hf.co/u/m"}));
}

TEST_F(ModelFilesTest, EarlierPlacesKeepTheirNames) {
  tree_.File("lib/a.gguf");
  tree_.File("more/a.gguf");
  const auto found =
      FindModelFiles(PlacesOf({tree_.Path("lib"), tree_.Path("more"), tree_.Path("lib"), tree_.Path("none")}), {});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].path, tree_.Path("lib/a.gguf"));
  EXPECT_EQ(found[1].id, "more/a");
}

TEST_F(ModelFilesTest, ThePlacesOfThisMachine) {
  std::map<std::string, std::string> variables = {{"HOME", tree_.Path("home")}};
  const auto folders = [&] {
    std::vector<std::string> names;
    for (const ModelPlace& place : MachinePlaces(
             [&](const char* name) { return variables.contains(name) ? variables[name].c_str() : nullptr; })) {
      if (place.folder.starts_with(tree_.Path("")))
        names.push_back(place.folder.substr(tree_.Path("").size()) + (place.ollama ? " of Ollama" : ""));
    }
    return names;
  };
  for (const char* name : {".cache/huggingface/hub", ".cache/llama.cpp", ".lmstudio/models", ".cache/lm-studio/models",
                           ".ollama/models"}) {
    fs::create_directories(tree_.Path("home") + "/" + name);
  }
  EXPECT_EQ(folders(), Names({"home/.cache/huggingface/hub", "home/.cache/llama.cpp", "home/.lmstudio/models",
                              "home/.cache/lm-studio/models", "home/.ollama/models of Ollama"}));
  for (const char* name : {"hf/hub", "llama", "ol", "one", "two"}) fs::create_directories(tree_.Path(name));
  variables["HF_HOME"] = tree_.Path("hf");
  variables["LLAMA_CACHE"] = tree_.Path("llama");
  variables["OLLAMA_MODELS"] = tree_.Path("ol");
  variables["HEADRACE_MODELS_DIR"] = tree_.Path("one") + ":" + tree_.Path("two") + "::" + tree_.Path("none");
  EXPECT_EQ(folders(), Names({"one", "two", "hf/hub", "llama", "home/.lmstudio/models", "home/.cache/lm-studio/models",
                              "ol of Ollama"}));
}

}  // namespace
}  // namespace headrace
