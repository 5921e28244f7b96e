#include "models/model_names.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

const std::vector<ModelFile> kModels = {
    {"ggml-org/Gemma-GGUF:Q4_K_M", "/1", {"ggml-org/Gemma-GGUF", "Gemma-GGUF", "gemma-q4"}},
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

TEST(ModelNames, AsOtherProgramsWriteThem) {
  EXPECT_EQ(PathOf("qwen3:30b:latest"), "/3");
  EXPECT_EQ(PathOf("Mistral:latest"), "/4");
  EXPECT_EQ(PathOf("MISTRAL:LATEST"), "/4");
  EXPECT_EQ(PathOf("gemma:q8_0"), "/2");
  EXPECT_EQ(PathOf("ggml-org/gemma:Q4_K_M"), "/1");
  const std::vector<ModelFile> files = {{"owner/Qwen3-GGUF/Qwen3-8B-Q4_K_M", "/1", {}}, {"Phi-4-Q8_0", "/2", {}}};
  const auto path = [&](const char* name) { return FindByName(files, name).ok() ? FindByName(files, name)->path : ""; };
  EXPECT_EQ(path("qwen3-8b:q4_k_m"), "/1");
  EXPECT_EQ(path("Owner/Qwen3-8B-GGUF:Q4_K_M"), "/1");
  EXPECT_EQ(path("other/Qwen3-8B:Q4_K_M"), "") << "another owner";
  EXPECT_EQ(path("anyone/phi-4:q8_0"), "/2") << "nobody is said to own it";
  for (const char* name : {"phi-4", "phi-4:", ":latest", ":q8_0", "phi-4:q4_0", "/:q8_0"})
    EXPECT_EQ(path(name), "") << name;
}

TEST(ModelNames, SeveralOfOneNameAreListed) {
  const auto found = FindByName(kModels, "Gemma-GGUF");
  EXPECT_EQ(found.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(found.status().message(),
            "Gemma-GGUF is the name of several models: ggml-org/Gemma-GGUF:Q4_K_M, ggml-org/Gemma-GGUF:Q8_0; write one "
            "of these");
}

TEST(ModelNames, AnUnknownOneNamesTheNearest) {
  const auto found = FindByName(kModels, "qwen\n2:30b");
  EXPECT_EQ(found.status().code(), Code::kNotFound);
  EXPECT_EQ(found.status().message(),
            "there is no model qwen%0A2:30b; there are qwen3:30b, deep/folder/mistral, ggml-org/Gemma-GGUF:Q8_0, "
            "ggml-org/Gemma-GGUF:Q4_K_M; "
            "headrace list shows all");
  for (const char* name : {"", ".", "..", "/3", "deep/folder", "deep/folder/../folder/mistral"})
    EXPECT_FALSE(FindByName(kModels, name).ok()) << name;
}

}  // namespace
}  // namespace headrace
