// The programs in examples/ that docs/server.md shows, with the libraries of the npm registry.
#include <filesystem>

#include "serve_test.h"

namespace headrace::serve {
namespace {

class ClientExamples : public ServeTest {
 protected:
  // As a user has it: in a folder of its own, beside the libraries.
  cli::Outcome RunExample(const std::string& library) {
    environment_["BASE_URL"] = "http://127.0.0.1:" + std::to_string(port_) + "/v1";
    environment_["HOST"] = "http://127.0.0.1:" + std::to_string(port_);
    const std::string file = library + ".mjs";
    std::filesystem::copy(std::string(HEADRACE_SOURCE_DIR) + "/examples/" + file, tree_.Path(file));
    std::filesystem::create_symlink(HEADRACE_NODE_MODULES, tree_.Path("node_modules"));
    return Shell("node '" + tree_.Path(file) + "' " + kDense);
  }
  static bool Missing(const std::string& library) {
    return !std::filesystem::exists(std::string(HEADRACE_NODE_MODULES) + "/" + library);
  }
  // What the same request gives without a library.
  std::string Told() {
    const Answer answer =
        Post("/v1/chat/completions", {{"model", kDense},
                                      {"messages", {{{"role", "user"}, {"content", "It is a truth"}}}},
                                      {"max_tokens", 16},
                                      {"temperature", 0}});
    return answer.body["choices"][0]["message"]["content"];
  }
};

TEST_F(ClientExamples, OpenAi) {
  if (Missing("openai")) GTEST_SKIP() << "no openai: run scripts/install-node-packages.sh";
  ASSERT_TRUE(StartServer());
  const cli::Outcome outcome = RunExample("openai");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with(Told() + "\n")) << outcome.out;
  EXPECT_TRUE(Has(outcome.out, "16 written")) << outcome.out;
}

TEST_F(ClientExamples, Ollama) {
  if (Missing("ollama")) GTEST_SKIP() << "no ollama: run scripts/install-node-packages.sh";
  ASSERT_TRUE(StartServer());
  const cli::Outcome outcome = RunExample("ollama");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with(Told() + "\n16 tokens in ")) << outcome.out;
  EXPECT_TRUE(Has(outcome.out, std::string(kDense) + " is loaded")) << outcome.out;
  EXPECT_GT(BytesRead(kDense), 0u) << "its weights stream";
}

}  // namespace
}  // namespace headrace::serve
