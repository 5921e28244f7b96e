#include "setup/model_source.h"

#include <gtest/gtest.h>

#include "base/temporary_tree.h"

namespace headrace::cli {
namespace {

using Words = std::vector<std::string>;

class ModelSourceTest : public testing::Test {
 protected:
  static std::string Snapshot(const std::string& name) {
    return "models--user--" + name + "/snapshots/0123456789abcdef0123456789abcdef01234567/";
  }
  std::string HubFile(const std::string& name, const std::string& file) {
    tree_.File("models--user--" + name + "/refs/main", "0123456789abcdef0123456789abcdef01234567");
    return tree_.File(Snapshot(name) + file, "GGUF");
  }
  ModelSource Find(const Words& arguments, ProgramKind kind = ProgramKind::kServer) const {
    const std::string root = tree_.Path("");
    const DownloadCache cache(
        [&](const char* name) { return name == std::string("LLAMA_CACHE") ? root.c_str() : nullptr; });
    return FindModelSource(kind, arguments, cache);
  }

  TemporaryTree tree_;
};

TEST_F(ModelSourceTest, APath) {
  const ModelSource source = Find({"--models-dir", "d", "-m", "m.gguf"});
  EXPECT_EQ(source.model, "m.gguf") << "with a model a server is no router";
  EXPECT_EQ(source.unknown, "");
  EXPECT_FALSE(source.downloaded || source.router);
  EXPECT_TRUE(source.arguments.empty());
}

TEST_F(ModelSourceTest, ARepositoryWithItsProjector) {
  const std::string model = HubFile("name", "m-Q4_0.gguf"), projector = HubFile("name", "mmproj.gguf");
  const ModelSource source = Find({"-m", "ignored.gguf", "-hf", "user/name:Q4_0"});
  EXPECT_EQ(source.model, model);
  EXPECT_EQ(source.arguments, (Words{"-m", model, "-mm", projector}));
  EXPECT_TRUE(source.downloaded);
  EXPECT_EQ(Find({"--hf-repo", "user/name", "--no-mmproj"}).arguments, (Words{"-m", model}));
  EXPECT_EQ(Find({"--hf-repo", "user/name", "-mm", "own.gguf"}).arguments, (Words{"-m", model}));
}

TEST_F(ModelSourceTest, WhatIsNotHereIsNotKnown) {
  const std::string model = HubFile("name", "m-Q4_0.gguf");
  for (const Words& arguments : {Words{"-hf", "user/other"},
                                 {"-hf", "user/name:Q8_0"},
                                 {"-mu", "https://host/x.gguf"},
                                 {"-mu", "https://host/x.gguf", "-m", "absent"},
                                 {"-dr", "gemma3"},
                                 {"-hf", "user/name", "-hfd", "user/draft"},
                                 {"-m", model, "-mmu", "https://host/mmproj.gguf"}}) {
    const ModelSource source = Find(arguments);
    EXPECT_EQ(source.model, "");
    EXPECT_TRUE(source.unknown.ends_with("is not downloaded yet")) << arguments[1] << ": " << source.unknown;
  }
}

TEST_F(ModelSourceTest, ADraftAndFilesOfUrls) {
  const std::string model = tree_.File("m.gguf", "GGUF"), draft = HubFile("draft", "d-f16.gguf");
  const ModelSource source = Find({"-mu", "https://host/m.gguf", "-hfd", "user/draft"});
  EXPECT_EQ(source.model, model);
  EXPECT_EQ(source.arguments, (Words{"-m", model, "-md", draft}));
  EXPECT_EQ(Find({"-mu", "https://host/x.gguf", "-m", model}).model, model) << "it was downloaded there";
}

TEST_F(ModelSourceTest, AServerWithoutAModelIsARouter) {
  for (const Words& arguments :
       {Words{}, {"--models-dir", "d"}, {"--models-preset", "p.ini"}, {"-hf", "user/several"}}) {
    HubFile("several", "preset.ini");
    const ModelSource source = Find(arguments);
    EXPECT_TRUE(source.router);
    EXPECT_NE(source.unknown, "");
  }
  EXPECT_FALSE(Find({"--help"}).router);
  EXPECT_EQ(Find({"--list-devices"}).unknown, "");
  EXPECT_EQ(Find({}, ProgramKind::kGenerator).unknown, "") << "its own error";
}

}  // namespace
}  // namespace headrace::cli
