#include "gguf/catalogue.h"

#include <filesystem>

#include "gguf/gguf_test.h"

namespace headrace {
namespace {

class SplitTest : public GgufTest {
 protected:
  void SetUp() override {
    GgufTest::SetUp();
    Write(1, GgufBuilder().Text("general.architecture", "llama").Split(1, 3, 3).Tensor("a", kGgmlF32, {8}));
    Write(2, GgufBuilder().Split(2, 3, 3).Tensor("b", kGgmlF32, {16}));
    Write(3, GgufBuilder().Split(3, 3, 3).Tensor("c", kGgmlF32, {32}));
  }
  std::string Part(int part) const { return Path("big-0000" + std::to_string(part) + "-of-00003.gguf"); }
  void Write(int part, const GgufBuilder& builder) const { ASSERT_TRUE(builder.Write(Part(part))); }
};

TEST_F(SplitTest, AnyPartGivesTheWholeModel) {
  for (int given : {1, 2, 3}) {
    const auto model = ReadCatalogue(Part(given));
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(model->architecture, "llama");
    ASSERT_EQ(model->files.size(), 3u);
    ASSERT_EQ(model->tensors.size(), 3u);
    for (uint32_t i = 0; i < 3; ++i) {
      EXPECT_EQ(model->files[i].path, Part(static_cast<int>(i) + 1));
      EXPECT_EQ(model->tensors[i].file, i);
      EXPECT_EQ(model->tensors[i].name, std::string(1, static_cast<char>('a' + i)));
    }
  }
}

TEST_F(SplitTest, AMissingPartIsNamed) {
  std::filesystem::remove(Part(2));
  for (int given : {1, 2, 3}) {
    ExpectRefused(Part(given), Code::kNotFound, "big-00002-of-00003.gguf: missing, it is part 2 of 3");
  }
}

TEST_F(SplitTest, PartsMustSayWhatTheirNamesSay) {
  Write(2, GgufBuilder().Split(3, 3, 3).Tensor("b", kGgmlF32, {16}));
  ExpectRefused(Part(1), Code::kCorrupt, "named part 2 of 3, but its split.no (from 0) is 2 and its split.count 3");
  Write(2, GgufBuilder().Split(2, 4, 3).Tensor("b", kGgmlF32, {16}));
  ExpectRefused(Part(1), Code::kCorrupt, "its split.count 4");
  Write(2, GgufBuilder().Tensor("b", kGgmlF32, {16}));
  ExpectRefused(Part(1), Code::kCorrupt, "split.no (from 0) is absent and its split.count absent");
}

TEST_F(SplitTest, TensorsMustAddUpAndBeUnique) {
  Write(3, GgufBuilder().Split(3, 3, 3));
  ExpectRefused(Part(1), Code::kCorrupt, "have 2 tensors together, but split.tensors.count is 3");
  Write(3, GgufBuilder().Split(3, 3, 3).Tensor("a", kGgmlF32, {32}));
  ExpectRefused(Part(1), Code::kCorrupt, "00003-of-00003.gguf: damaged: tensor 'a' occurs twice");
  Write(1, GgufBuilder().U16("split.no", 0).U16("split.count", 3));
  ExpectRefused(Part(1), Code::kCorrupt, "split.tensors.count is absent");
}

TEST_F(SplitTest, ATruncatedPartIsNamed) {
  std::filesystem::resize_file(Part(3), 80);
  ExpectRefused(Part(1), Code::kCorrupt, "big-00003-of-00003.gguf: truncated");
}

TEST_F(SplitTest, APartUnderAnotherNameSaysWhichItWas) {
  std::filesystem::copy_file(Part(2), Path("renamed.gguf"));
  ExpectRefused(Path("renamed.gguf"), Code::kInvalidArgument, "'NAME-00002-of-00003.gguf'");
}

TEST_F(SplitTest, OneOfOneIsAWholeModel) {
  ASSERT_TRUE(GgufBuilder().Tensor("a", kGgmlF32, {8}).Write(Path("one-00001-of-00001.gguf")));
  EXPECT_TRUE(ReadCatalogue(Path("one-00001-of-00001.gguf")).ok());
  ASSERT_TRUE(GgufBuilder().Split(1, 1, 1).Tensor("a", kGgmlF32, {8}).Write(Path("two.gguf")));
  EXPECT_TRUE(ReadCatalogue(Path("two.gguf")).ok());
}

}  // namespace
}  // namespace headrace
