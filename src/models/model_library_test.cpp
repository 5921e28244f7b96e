#include "models/model_library.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "base/temporary_tree.h"
#include "gguf/gguf_builder.h"

namespace headrace {
namespace {

class ModelLibraryTest : public testing::Test {
 protected:
  void Write(const std::string& name, GgufBuilder builder = Text()) {
    tree_.File(name);
    ASSERT_TRUE(builder.Tensor("output.weight", kGgmlQ4_0, {256, 64}).Write(tree_.Path(name)));
  }
  static GgufBuilder Text() {
    return GgufBuilder().Text("general.architecture", "llama").U32("llama.context_length", 512);
  }
  static std::vector<std::string> Ids(ModelLibrary& library) {
    std::vector<std::string> ids;
    for (const ModelEntry& entry : library.Scan()) ids.push_back(entry.id);
    return ids;
  }
  TemporaryTree tree_;
};

TEST_F(ModelLibraryTest, NamesAndKinds) {
  Write("m/a.gguf");
  Write("m/x/b.gguf");
  Write("m/y/b.gguf");
  Write("m/e.gguf", GgufBuilder().Text("general.architecture", "bert").U32("bert.pooling_type", 1));
  Write("m/r.gguf", GgufBuilder().Text("general.architecture", "bert").U32("bert.pooling_type", 4));
  Write("m/x/eye.gguf", GgufBuilder().Text("general.architecture", "clip"));
  tree_.File("m/notes.txt", "no model");
  Write("other/z.gguf");
  ModelLibrary library(PlacesOf({tree_.Path("m")}), {tree_.Path("other/z.gguf")});
  EXPECT_EQ(Ids(library), (std::vector<std::string>{"a", "e", "r", "x/b", "x/eye", "y/b", "z"}));
  EXPECT_EQ(library.Find("e")->kind, ModelKind::kEmbedding);
  EXPECT_EQ(library.Find("r")->kind, ModelKind::kReranker);
  EXPECT_EQ(library.Find("eye")->kind, ModelKind::kProjector);
  EXPECT_EQ(library.Find("a.gguf")->context_length, 512u);
  EXPECT_FALSE(library.Find("b").ok()) << "two have this name";
  EXPECT_EQ(library.Find("y/b")->path, tree_.Path("m/y/b.gguf"));
  for (const char* name : {"", ".", "..", "../other/z", "x/../a", "/etc/passwd", "m/a"})
    EXPECT_FALSE(library.Find(name).ok()) << name;
  EXPECT_EQ(library.ProjectorBeside(*library.Find("x/b")), tree_.Path("m/x/eye.gguf"));
  EXPECT_EQ(library.ProjectorBeside(*library.Find("y/b")), "");
  EXPECT_EQ(library.ProjectorBeside(*library.Find("a")), "");
}

TEST_F(ModelLibraryTest, AProjectorBelongsToTheModelsOfItsOwnFolder) {
  const auto eye = GgufBuilder().Text("general.architecture", "clip");
  for (const char* model : {"m/a.gguf", "m/one/b.gguf", "m/one/c.gguf", "m/two/d.gguf"}) Write(model);
  for (const char* projector : {"m/eye.gguf", "m/one/eye.gguf", "m/two/eye.gguf", "m/two/eye-f16.gguf"})
    Write(projector, eye);
  ModelLibrary library(PlacesOf({tree_.Path("m")}), {});
  for (const ModelEntry& entry : library.Scan()) {
    const bool sees = entry.id == "one/b" || entry.id == "one/c";
    EXPECT_EQ(entry.projector, sees ? tree_.Path("m/one/eye.gguf") : "") << entry.id;
  }
}

TEST_F(ModelLibraryTest, SplitModelsAreOneAndBrokenOnesSayWhy) {
  for (uint16_t part = 1; part <= 2; ++part) {
    const std::string name = "m/s-0000" + std::to_string(part) + "-of-00002.gguf";
    tree_.File(name);
    GgufBuilder builder = part == 1 ? Text() : GgufBuilder();
    ASSERT_TRUE(builder.Split(part, 2, 2)
                    .Tensor("blk." + std::to_string(part) + ".x.weight", kGgmlQ4_0, {256, 64})
                    .Write(tree_.Path(name)));
  }
  tree_.File("m/bad.gguf", "text");
  ModelLibrary library(PlacesOf({tree_.Path("m")}), {});
  EXPECT_EQ(Ids(library), (std::vector<std::string>{"bad", "s"}));
  EXPECT_EQ(library.Find("s")->files, 2u) << library.Find("s")->error;
  EXPECT_NE(library.Find("bad")->error, "");
  // Mended meanwhile.
  Write("m/bad.gguf");
  EXPECT_EQ(library.Find("bad")->error, "");
  std::filesystem::remove(tree_.Path("m/bad.gguf"));
  EXPECT_FALSE(library.Find("bad").ok());
}

}  // namespace
}  // namespace headrace
