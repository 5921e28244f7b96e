#include "gguf/vocabulary.h"

#include "gguf/gguf_test.h"

namespace headrace {
namespace {

class VocabularyTest : public GgufTest {
 protected:
  Result<Vocabulary> Of(const GgufBuilder& builder) const {
    EXPECT_TRUE(builder.Write(Path("model.gguf")));
    return ReadVocabulary(Path("model.gguf"));
  }
};

Vocabulary Of(size_t tokens, const std::string& prefix = "t") {
  Vocabulary vocabulary;
  vocabulary.model = "gpt2";
  for (size_t i = 0; i < tokens; ++i) vocabulary.tokens.push_back(prefix + std::to_string(i));
  return vocabulary;
}

TEST_F(VocabularyTest, OfTheBundledModels) {
  const auto target = ReadVocabulary(Model("austen-dense-q4_0.gguf")),
             draft = ReadVocabulary(Model("austen-draft-f16.gguf"));
  ASSERT_TRUE(target.ok() && draft.ok());
  EXPECT_EQ(target->model, "gpt2");
  ASSERT_EQ(target->tokens.size(), 4096u);
  EXPECT_EQ(target->tokens[0], "<|endoftext|>");
  EXPECT_EQ(target->begin, 0u);
  EXPECT_EQ(target->adds_begin, true);
  EXPECT_FALSE(target->adds_end);
  EXPECT_EQ(WhyNotADraft(*target, *draft), "");
}

TEST_F(VocabularyTest, OddTypesAndDamage) {
  const auto odd = Of(GgufBuilder()
                          .Text("tokenizer.ggml.tokens", "x")
                          .U32("tokenizer.ggml.model", 1)
                          .U32("tokenizer.ggml.add_bos_token", 1)
                          .Text("tokenizer.ggml.bos_token_id", "a")
                          .Tensor("a", kGgmlF32, {4}));
  ASSERT_TRUE(odd.ok()) << odd.status().message();
  EXPECT_TRUE(odd->tokens.empty() && odd->model.empty() && !odd->begin && !odd->adds_begin);
  EXPECT_EQ(Of(GgufBuilder().Array("tokenizer.ggml.tokens", kGgufString, uint64_t{1} << 60, "")).status().code(),
            Code::kCorrupt);
}

TEST(WhyNotADraft, TheEnginesRule) {
  const Vocabulary target = Of(1000);
  EXPECT_EQ(WhyNotADraft(target, Of(1000)), "");
  EXPECT_EQ(WhyNotADraft(target, Of(1128)), "");
  EXPECT_EQ(WhyNotADraft(target, Of(1129)), "they have 1000 and 1129 tokens");
  EXPECT_EQ(WhyNotADraft(target, Of(871)), "they have 1000 and 871 tokens");
  Vocabulary other = Of(1000);
  other.tokens[4] = "x";
  EXPECT_EQ(WhyNotADraft(target, other), "") << "the first five may differ";
  other.tokens[5] = "\n";
  EXPECT_EQ(WhyNotADraft(target, other), "token 5 is 't5' in one and '?' in the other");
  other = Of(1000);
  other.model = "llama";
  EXPECT_NE(WhyNotADraft(target, other), "");
}

TEST(WhyNotADraft, SpecialTokensThatAreAdded) {
  Vocabulary target = Of(10), draft = Of(10);
  target.begin = 1;
  draft.begin = 2;
  EXPECT_NE(WhyNotADraft(target, draft), "");
  target.adds_begin = draft.adds_begin = false;
  EXPECT_EQ(WhyNotADraft(target, draft), "") << "never added";
  draft.adds_begin = true;
  EXPECT_NE(WhyNotADraft(target, draft), "");
  draft.adds_begin.reset();
  target.end = 1;
  draft.end = 2;
  EXPECT_EQ(WhyNotADraft(target, draft), "");
  target.adds_end = draft.adds_end = true;
  EXPECT_NE(WhyNotADraft(target, draft), "");
}

}  // namespace
}  // namespace headrace
