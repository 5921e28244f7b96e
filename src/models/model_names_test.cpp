#include "models/model_names.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

const std::vector<ModelFile> kModels = {{"ggml-org/Gemma-GGUF:Q4_K_M", "/1", {"ggml-org/Gemma-GGUF", "Gemma-GGUF", "gemma-q4"}},
                                        {"ggml-org/Gemma-GGUF:Q8_0", "/2", {"ggml-org/Gemma-GGUF", "Gemma-GGUF", "gemma-q8"}},
                                        {"qwen3:30b", "/3", {"qwen3"}},
                                        {"deep/folder/mistral", "/4", {}}};

std::string PathOf(const std::string& name) {
  const auto found = FindByName(kModels, name);
  return found.ok() ? found->path : found.status().message();
}

TEST(ModelNames, IdsOtherNamesAndFileNames) {
  EXPECT_EQ(PathOf("qwen3:30b"), "/3");
  EXPECT_EQ(PathOf("qwen3"), "/3");
  EXPECT_EQ(PathOf("hf:ggml-org/Gemma-GGUF:Q8_0"), "/2");
  EXPECT_EQ(PathOf("gemma-q4.gguf"), "/1");
  EXPECT_EQ(PathOf("mistral"), "/4");
  EXPECT_EQ(PathOf("Mistral.GGUF"), "/4") << "capitals make no difference";
  EXPECT_EQ(PathOf("ggml-org/gemma-gguf:q4_k_m"), "/1");
}

TEST(ModelNames, SeveralOfOneNameAreListed) {
  const auto found = FindByName(kModels, "Gemma-GGUF");
  EXPECT_EQ(found.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(found.status().message(), "Gemma-GGUF is the name of several models: ggml-org/Gemma-GGUF:Q4_K_M, ggml-org/Gemma-GGUF:Q8_0; write one of these");
}

TEST(ModelNames, AnUnknownOneNamesTheNearest) {
  const auto found = FindByName(kModels, "qwen\n2:30b");
  EXPECT_EQ(found.status().code(), Code::kNotFound);
  EXPECT_EQ(found.status().message(), "there is no model qwen%0A2:30b; there are qwen3:30b, deep/folder/mistral, ggml-org/Gemma-GGUF:Q8_0, ggml-org/Gemma-GGUF:Q4_K_M; "
                                      "headrace list shows all");
  for (const char* name : {"", ".", "..", "/3", "deep/folder", "deep/folder/../folder/mistral"}) EXPECT_FALSE(FindByName(kModels, name).ok()) << name;
}

}  // namespace
}  // namespace headrace
