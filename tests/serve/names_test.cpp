// Which names mean which model.
#include "serve_test.h"

namespace headrace::serve {
namespace {

class ServedNames : public ServeTest {
 protected:
  // The model that answered, "" when none did.
  std::string Answering(const std::string& name) {
    const Answer answer = Complete(name, 1);
    return answer.status == 200 ? answer.body.value("model", "") : "";
  }
};

TEST_F(ServedNames, OfOneModelOnTheCommandLineAreAdvice) {
  ASSERT_TRUE(StartServer({CommandTest::Model()}));
  for (const char* name : {"gpt-4o", "qwen3:30b", "none"}) EXPECT_EQ(Answering(name), kDense) << name;
  EXPECT_EQ(Post("/api/generate",
                 {{"model", "llama3.2"}, {"prompt", "It"}, {"stream", false}, {"options", {{"num_predict", 1}}}})
                .status,
            200);
  EXPECT_EQ(Post("/api/v0/completions", {{"model", "llama3.2"}, {"prompt", "It"}, {"max_tokens", 1}}).status, 200);
  EXPECT_EQ(Post("/api/show", {{"model", "llama3.2"}}).status, 200);
  EXPECT_EQ(Load({{"model", "gpt-4o"}}).status, 404) << "our own API means what it says";
}

TEST_F(ServedNames, OfSeveralModelsAreExact) {
  ASSERT_TRUE(StartServer());
  EXPECT_EQ(Answering("gpt-4o"), "");
  const Answer unknown = Complete("austen-dence");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_TRUE(Has(unknown.Error(), kDense)) << unknown.text;
  for (const char* name : {"Austen-DENSE-q4_0", "austen-dense-q4_0:latest", "acme/Austen-Dense-GGUF:Q4_0",
                           "austen-dense:q4_0", "hf:acme/austen-dense:Q4_0"}) {
    EXPECT_EQ(Answering(name), kDense) << name;
  }
  EXPECT_EQ(Answering("austen-dense:q8_0"), "") << "another type is another model";
}

TEST_F(ServedNames, Aliases) {
  ASSERT_TRUE(StartServer(
      {"--models-dir", Models(), "--alias", "gpt-4o=austen-dense:q4_0", "--alias", std::string("small=") + kMoe}));
  EXPECT_EQ(Answering("GPT-4o"), kDense);
  EXPECT_EQ(Answering("gpt-4o:latest"), kDense);
  EXPECT_EQ(Answering("small"), kMoe);
  EXPECT_EQ(Get("/v1/models/gpt-4o").body["id"], "gpt-4o");
  EXPECT_TRUE(Has(Get("/api/tags").text, "\"gpt-4o\""));
  EXPECT_TRUE(Has(Get("/api/v0/models").text, "\"gpt-4o\""));
  EXPECT_FALSE(Has(Get("/api/v1/models").text, "\"gpt-4o\"")) << "files, each once";
  EXPECT_EQ(Load({{"model", "gpt-4o"}}).body["model"], kDense);
}

TEST_F(ServedNames, WrongAliases) {
  ExpectError({"serve", "--models-dir", Models(), "--alias", "gpt-4o"}, 2, "NAME=MODEL");
  ExpectError({"serve", "--models-dir", Models(), "--alias", "gpt-4o=austen-dence"}, 2, kDense);
  ExpectError({"serve", "--models-dir", Models(), "--alias", std::string(kDense) + "=" + kMoe}, 2, "this name already");
  ExpectError(
      {"serve", "--models-dir", Models(), "--alias", std::string("a=") + kMoe, "--alias", std::string("A=") + kDense},
      2, "twice");
}

}  // namespace
}  // namespace headrace::serve
