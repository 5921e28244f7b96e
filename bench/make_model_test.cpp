// The generated tiny model is a valid GGUF file with the shape that was asked for, and its bytes depend
// on the seed alone.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "describe_model.h"
#include "gguf/catalogue.h"
#include "model_file.h"
#include "model_shape.h"
#include "random_weights.h"

namespace headrace::bench {
namespace {

class MakeModelTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "headrace-make-model-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  static std::string Content(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  size_t FilesInFolder() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

  std::filesystem::path folder_;
};

GgufWriter Tiny(TypeMix type, bool tied = false) {
  auto shape = FindPreset("tiny");
  EXPECT_TRUE(shape.ok());
  shape->tied = tied;
  auto model = DescribeModel(*shape, type);
  EXPECT_TRUE(model.ok()) << model.status().message();
  return *std::move(model);
}

TEST_F(MakeModelTest, TinyIsReadByTheCatalogue) {
  const std::map<TypeMix, std::string> types = {
      {TypeMix::kQ4_0, "Q4_0"}, {TypeMix::kQ8_0, "Q8_0"}, {TypeMix::kQ4_K, "Q4_K"}, {TypeMix::kQ6_K, "Q6_K"}};
  for (const auto& [type, name] : types) {
    const GgufWriter model = Tiny(type);
    const std::string path = Path("tiny" + std::to_string(static_cast<int>(type)));
    const auto bytes = WriteModel(path, model, {});
    ASSERT_TRUE(bytes.ok()) << bytes.status().message();
    EXPECT_EQ(*bytes, std::filesystem::file_size(path));
    const auto catalogue = ReadCatalogue(path);
    ASSERT_TRUE(catalogue.ok()) << catalogue.status().message();
    EXPECT_EQ(catalogue->architecture, "llama");
    EXPECT_EQ(catalogue->layers, 4u);
    EXPECT_EQ(catalogue->heads_kv, 2u);
    EXPECT_EQ(catalogue->vocabulary, 2048u);
    EXPECT_EQ(catalogue->dominant_type(), name);
    ASSERT_EQ(catalogue->tensors.size(), model.tensors().size());
    const TensorEntry& last = catalogue->tensors.back();
    EXPECT_EQ(last.name, "output.weight");
    EXPECT_EQ(last.type, static_cast<uint32_t>(TypeOf(type, "output.weight", {512, 2048}, 4, false)));
    EXPECT_EQ(last.offset, model.DataOffset() + model.tensors().back().offset);
    EXPECT_EQ(last.bytes, model.tensors().back().bytes);
  }
}

TEST_F(MakeModelTest, AMixtureOfExpertsHasRoutersThatDiffer) {
  const auto shape = FindPreset("moe-tiny");
  ASSERT_TRUE(shape.ok());
  const auto model = DescribeModel(*shape, TypeMix::kQ4_0);
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_TRUE(WriteModel(Path("moe"), *model, {}).ok());
  const auto catalogue = ReadCatalogue(Path("moe"));
  ASSERT_TRUE(catalogue.ok()) << catalogue.status().message();
  EXPECT_EQ(catalogue->architecture, "qwen3moe");
  EXPECT_EQ(catalogue->experts, 16u);
  EXPECT_EQ(catalogue->experts_used, 2u);
  EXPECT_EQ(std::count_if(catalogue->tensors.begin(), catalogue->tensors.end(),
                          [](const TensorEntry& t) { return t.is_expert(); }),
            12);
  const std::string content = Content(Path("moe"));
  for (const TensorEntry& tensor : catalogue->tensors) {
    if (tensor.name.find("ffn_gate_inp") == std::string::npos) continue;
    for (uint64_t expert = 0; expert < 16; ++expert) {
      std::vector<float> row(512);
      std::memcpy(row.data(), content.data() + tensor.offset + expert * 2048, 2048);
      double squares = 0;
      for (const float weight : row) squares += static_cast<double>(weight) * weight;
      EXPECT_NEAR(squares, 1, 0.2) << tensor.name << " " << expert;
      EXPECT_NE(std::memcmp(row.data(), content.data() + tensor.offset + (expert + 1) % 16 * 2048, 2048), 0)
          << tensor.name << " " << expert;
    }
  }
}

TEST_F(MakeModelTest, EmbeddingsOfAMixtureShareAPartAndDifferInTheRest) {
  const auto shape = FindPreset("moe-tiny");
  ASSERT_TRUE(shape.ok());
  const auto model = DescribeModel(*shape, TypeMix::kQ4_0);
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_TRUE(WriteModel(Path("moe"), *model, {}).ok());
  const std::string content = Content(Path("moe"));
  const uint64_t blocks = 512 / 32, row = blocks * 18;
  const char* first = content.data() + model->DataOffset() + model->tensors().front().offset;
  for (uint64_t token = 1; token < 50; ++token) {
    for (uint64_t block = 0; block < blocks; ++block) {
      const bool same = std::memcmp(first + block * 18, first + token * row + block * 18, 18) == 0;
      EXPECT_EQ(same, block < 8) << token << " " << block;
    }
  }
}

TEST_F(MakeModelTest, ADraftHeadPassesTheEmbeddingOn) {
  const auto shape = FindPreset("head-tiny");
  ASSERT_TRUE(shape.ok());
  const auto model = DescribeModel(*shape, TypeMix::kQ4_0);
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_TRUE(WriteModel(Path("head"), *model, {}).ok());
  const auto catalogue = ReadCatalogue(Path("head"));
  ASSERT_TRUE(catalogue.ok()) << catalogue.status().message();
  EXPECT_EQ(catalogue->architecture, "glm4moe");
  EXPECT_EQ(catalogue->layers, 5u);
  EXPECT_EQ(catalogue->head_blocks, 1u);
  const auto projection = std::find_if(catalogue->tensors.begin(), catalogue->tensors.end(),
                                       [](const TensorEntry& t) { return t.name == "blk.4.nextn.eh_proj.weight"; });
  ASSERT_NE(projection, catalogue->tensors.end());
  ASSERT_EQ(projection->shape[0], 1024u);
  const std::string content = Content(Path("head"));
  for (const uint64_t row : {0, 33, 511}) {
    for (uint64_t column = 0; column < 1024; ++column) {
      const auto value =
          static_cast<int8_t>(content[projection->offset + row * 32 * 34 + column / 32 * 34 + 2 + column % 32]);
      ASSERT_EQ(value, row == column ? 127 : 0) << row << " " << column;
    }
  }
}

TEST_F(MakeModelTest, BytesDependOnTheSeedAlone) {
  const GgufWriter model = Tiny(TypeMix::kQ4_0);
  WriteOptions options;
  options.threads = 1;
  ASSERT_TRUE(WriteModel(Path("a"), model, options).ok());
  options.threads = 3;
  ASSERT_TRUE(WriteModel(Path("b"), model, options).ok());
  options.seed = 2;
  ASSERT_TRUE(WriteModel(Path("c"), model, options).ok());
  EXPECT_EQ(Content(Path("a")), Content(Path("b")));
  EXPECT_NE(Content(Path("a")), Content(Path("c")));
}

TEST_F(MakeModelTest, SparseFileTakesNoDisk) {
  const auto shape = ShapeOfSize(uint64_t{400} << 30, TypeMix::kQ4_0);
  ASSERT_TRUE(shape.ok()) << shape.status().message();
  const auto model = DescribeModel(*shape, TypeMix::kQ4_0);
  ASSERT_TRUE(model.ok());
  WriteOptions options;
  options.sparse = true;
  const auto bytes = WriteModel(Path("sparse"), *model, options);
  if (!bytes.ok() && bytes.status().message().find("cannot hold") != std::string::npos) {
    GTEST_SKIP() << bytes.status().message();
  }
  ASSERT_TRUE(bytes.ok()) << bytes.status().message();
  EXPECT_NEAR(static_cast<double>(*bytes), 400.0 * (1 << 30), 1.0 * (1 << 30));
  struct stat info {};
  ASSERT_EQ(::stat(Path("sparse").c_str(), &info), 0);
  EXPECT_LT(info.st_blocks * 512, 16 << 20);
  EXPECT_TRUE(ReadCatalogue(Path("sparse")).ok());
}

TEST_F(MakeModelTest, TiedModelHasNoOutput) {
  const GgufWriter model = Tiny(TypeMix::kQ4_0, true);
  EXPECT_EQ(model.tensors().back().name, "output_norm.weight");
}

TEST_F(MakeModelTest, NothingIsLeftAfterAnError) {
  const GgufWriter model = Tiny(TypeMix::kQ4_0);
  const std::atomic<bool> cancel{true};
  WriteOptions options;
  options.cancel = &cancel;
  EXPECT_EQ(WriteModel(Path("cancelled"), model, options).status().code(), Code::kCancelled);
  EXPECT_EQ(FilesInFolder(), 0u);
  EXPECT_EQ(WriteModel(folder_.string(), model, {}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(WriteModel(Path("missing/x"), model, {}).status().code(), Code::kNotFound);
  ASSERT_TRUE(WriteModel(Path("there"), model, {}).ok());
  EXPECT_EQ(WriteModel(Path("there"), model, {}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(FilesInFolder(), 1u);
}

TEST(ModelShape, RefusesWhatCannotBe) {
  EXPECT_EQ(FindPreset("nothing").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(ShapeOfSize(1 << 20, TypeMix::kQ4_0).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(ShapeOfSize(uint64_t{1} << 50, TypeMix::kQ4_0).status().code(), Code::kInvalidArgument);
}

// Queries and keys of the first layer are nearly one vector, and nothing of the embedding is common to all tokens.
TEST(DriftingChoices, ComeFromTheFirstLayersAttention) {
  auto shape = FindPreset("moe-tiny");
  ASSERT_TRUE(shape.ok());
  shape->choices = ChoiceKind::kDrifting;
  const auto model = DescribeModel(*shape, TypeMix::kQ4_0);
  ASSERT_TRUE(model.ok()) << model.status().message();
  std::map<std::string, TensorPlace> tensors;
  for (const TensorPlace& tensor : model->tensors()) tensors.emplace(tensor.name, tensor);
  EXPECT_EQ(tensors.at("token_embd.weight").filling.alike, 0);
  for (const char* part : {"attn_q", "attn_k"}) {
    const auto bias = tensors.find("blk.0." + std::string(part) + ".bias");
    ASSERT_NE(bias, tensors.end()) << part;
    EXPECT_EQ(bias->second.shape[0], tensors.at("blk.0." + std::string(part) + ".weight").shape[1]);
    EXPECT_EQ(tensors.count("blk.1." + std::string(part) + ".bias"), 0u);
  }
  EXPECT_GT(tensors.at("blk.0.attn_output.weight").filling.gain,
            10 * tensors.at("blk.1.attn_output.weight").filling.gain);
  auto other = FindPreset("gpt-oss-20b");
  ASSERT_TRUE(other.ok());
  other->choices = ChoiceKind::kDrifting;
  EXPECT_EQ(DescribeModel(*other, other->types).status().code(), Code::kInvalidArgument);
}

// What the models' publishers say of them; draft heads count where the files have them.
TEST(PublishedShapes, HaveAsManyParameters) {
  const std::map<std::string, uint64_t> published = {{"llama-3.1-8b", 8030261248},   {"llama-3.1-70b", 70553706496},
                                                     {"qwen3-30b-a3b", 30532122624}, {"gpt-oss-20b", 20914757184},
                                                     {"gpt-oss-120b", 116829156672}, {"qwen3-next-80b", 79674391296},
                                                     {"glm-4.5-air", 110468824832},  {"deepseek-v3", 671026419200}};
  EXPECT_EQ(PublishedShapes().size(), published.size());
  for (const ModelShape& shape : PublishedShapes()) {
    const auto model = DescribeModel(shape, shape.types);
    ASSERT_TRUE(model.ok()) << model.status().message();
    uint64_t parameters = 0;
    for (const TensorPlace& tensor : model->tensors()) {
      if (tensor.name == "rope_freqs.weight") continue;  // computed when the file is made
      uint64_t elements = 1;
      for (const uint64_t n : tensor.shape) elements *= n;
      parameters += elements;
    }
    EXPECT_EQ(parameters, published.at(shape.name)) << shape.name;
  }
}

TEST(PublishedShapes, ShrinkInProportion) {
  const auto shape = FindPreset("deepseek-v3");
  ASSERT_TRUE(shape.ok());
  const ModelShape four = Shrink(*shape, {.layers = 4, .heads = 8, .experts = 32});
  EXPECT_EQ(four.dense_layers, 3u);
  EXPECT_EQ(four.heads_kv, 8u);
  EXPECT_EQ(four.experts_used, 8u);
  EXPECT_EQ(four.width, shape->width);
  EXPECT_TRUE(DescribeModel(four, four.types).ok());
  const ModelShape two = Shrink(*shape, {.layers = 2, .experts = 4});
  EXPECT_EQ(two.dense_layers, 1u);
  EXPECT_EQ(two.experts_used, 4u);
  EXPECT_EQ(DescribeModel(two, two.types).status().code(), Code::kInvalidArgument) << "8 groups of experts";
  EXPECT_EQ(DescribeModel(Shrink(*shape, {.layers = 1, .width = 500}), two.types).status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(Shrink(*FindPreset("gpt-oss-20b"), {.heads = 4}).heads_kv, 1u);
}

float FromHalf(uint16_t half) {
  const int exponent = (half >> 10) & 0x1F;
  const float mantissa = static_cast<float>(half & 0x3FF);
  const float value = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25);
  return (half & 0x8000) != 0 ? -value : value;
}

TEST(RandomWeights, HalvesRoundToNearest) {
  for (const float value : {1.0f, -2.5f, 65504.0f, 0.333f, 6.2e-5f, 3.0e-5f, 1.1e-6f}) {
    EXPECT_NEAR(FromHalf(ToHalf(value)), value, std::max(std::fabs(value) / 2048, 0x1p-25f)) << value;
  }
}

TEST(RandomWeights, Q4_0IsCentredWithTheRightDeviation) {
  constexpr uint64_t kBlocks = 20000, kRow = 4096;
  std::vector<uint8_t> data(kBlocks * 18);
  FillWeights(TensorType::kQ4_0, kRow, 7, 0, data.size(), data.data());
  double sum = 0, squares = 0;
  for (uint64_t b = 0; b < kBlocks; ++b) {
    uint16_t half = 0;
    std::memcpy(&half, &data[b * 18], 2);
    for (int i = 0; i < 16; ++i) {
      const uint8_t q = data[b * 18 + 2 + i];
      for (const int level : {q & 15, q >> 4}) {
        const double w = FromHalf(half) * (level - 8);
        sum += w;
        squares += w * w;
      }
    }
  }
  const double n = kBlocks * 32, deviation = 1 / std::sqrt(static_cast<double>(kRow));
  EXPECT_NEAR(sum / n, 0, deviation * 0.01);
  EXPECT_NEAR(std::sqrt(squares / n), deviation, deviation * 0.01);
}

TEST(RandomWeights, Q8_0IsCentredWithTheRightDeviation) {
  constexpr uint64_t kBlocks = 20000, kRow = 4096;
  std::vector<uint8_t> data(kBlocks * 34);
  FillWeights(TensorType::kQ8_0, kRow, 7, 0, data.size(), data.data());
  double sum = 0, squares = 0;
  for (uint64_t b = 0; b < kBlocks; ++b) {
    uint16_t half = 0;
    std::memcpy(&half, &data[b * 34], 2);
    for (int i = 0; i < 32; ++i) {
      const double w = FromHalf(half) * static_cast<int8_t>(data[b * 34 + 2 + static_cast<uint64_t>(i)]);
      sum += w;
      squares += w * w;
    }
  }
  const double n = kBlocks * 32, deviation = 1 / std::sqrt(static_cast<double>(kRow));
  EXPECT_NEAR(sum / n, 0, deviation * 0.01);
  EXPECT_NEAR(std::sqrt(squares / n), deviation, deviation * 0.01);
}

TEST(RandomWeights, Mxfp4HasAboutTheRightDeviation) {
  constexpr double kValues[] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};  // in halves
  constexpr uint64_t kBlocks = 20000;
  for (const uint64_t row : {480, 2880, 4096}) {
    std::vector<uint8_t> data(kBlocks * 17);
    FillWeights(TensorType::kMxfp4, row, 7, 0, data.size(), data.data());
    double sum = 0, squares = 0;
    for (uint64_t b = 0; b < kBlocks; ++b) {
      for (uint64_t i = 1; i < 17; ++i) {
        for (const int level : {data[b * 17 + i] & 15, data[b * 17 + i] >> 4}) {
          const double w = std::ldexp(kValues[level], data[b * 17] - 128);
          sum += w;
          squares += w * w;
        }
      }
    }
    const double n = kBlocks * 32, deviation = 1 / std::sqrt(static_cast<double>(row));
    EXPECT_NEAR(sum / n, 0, deviation * 0.01);
    EXPECT_NEAR(std::sqrt(squares / n) / deviation, 1, 0.42) << "the nearest power of two";
  }
}

TEST(RandomWeights, AnyRangeOfARouterHasTheBytesOfTheWhole) {
  std::vector<uint8_t> whole(5000), part(5000);
  FillWeights(TensorType::kF32, 100, 3, 0, whole.size(), whole.data(), RandomFloats(100));
  for (const uint64_t begin : {0, 1, 399, 400, 402, 4099}) {
    const uint64_t length = std::min<uint64_t>(whole.size() - begin, 701);
    FillWeights(TensorType::kF32, 100, 3, begin, length, part.data(), RandomFloats(100));
    EXPECT_EQ(std::memcmp(part.data(), whole.data() + begin, length), 0) << begin;
  }
}

TEST(RandomWeights, AnyRangeOfAnIdentityHasTheBytesOfTheWhole) {
  std::vector<uint8_t> whole(10 * 1024 / 32 * 34), part(whole.size());
  Filling identity;
  identity.identity = true;
  FillWeights(TensorType::kQ8_0, 1024, 3, 0, whole.size(), whole.data(), identity);
  for (const uint64_t begin : {0, 1, 35, 1089, 5000}) {
    const uint64_t length = std::min<uint64_t>(whole.size() - begin, 2000);
    FillWeights(TensorType::kQ8_0, 1024, 3, begin, length, part.data(), identity);
    EXPECT_EQ(std::memcmp(part.data(), whole.data() + begin, length), 0) << begin;
  }
}

TEST(RandomWeights, AnyRangeHasTheBytesOfTheWhole) {
  for (const TensorType type : {TensorType::kF32, TensorType::kQ4_0, TensorType::kQ5_0, TensorType::kQ8_0,
                                TensorType::kQ4_K, TensorType::kQ5_K, TensorType::kQ6_K, TensorType::kMxfp4}) {
    std::vector<uint8_t> whole(5000), part(5000);
    FillWeights(type, 512, 3, 0, whole.size(), whole.data());
    for (const uint64_t begin : {0, 1, 17, 18, 143, 500, 4099}) {
      const uint64_t length = std::min<uint64_t>(whole.size() - begin, 701);
      FillWeights(type, 512, 3, begin, length, part.data());
      EXPECT_EQ(std::memcmp(part.data(), whole.data() + begin, length), 0) << begin;
    }
  }
}

}  // namespace
}  // namespace headrace::bench
