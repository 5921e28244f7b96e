// The OpenAI client library from the npm registry, as a user's program would use it.
#include <filesystem>

#include "serve_test.h"

namespace headrace::serve {
namespace {

class OpenAiClient : public ServeTest {};

TEST_F(OpenAiClient, TalksToTheServer) {
  const std::string modules = HEADRACE_NODE_MODULES;
  ASSERT_EQ(Shell("command -v node").status, 0) << "node is not installed";
  if (!std::filesystem::exists(modules + "/openai"))
    GTEST_SKIP() << "no " << modules << "/openai: run scripts/install-node-packages.sh";
  environment_["HEADRACE_API_KEY"] = "secret";
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "4M"}));
  environment_["NODE_MODULES"] = modules;
  environment_["BASE_URL"] = "http://127.0.0.1:" + std::to_string(port_) + "/v1";
  const cli::Outcome outcome = Shell("node '" + std::string(HEADRACE_SOURCE_DIR) + "/tests/serve/openai_client.mjs'");
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_TRUE(Has(outcome.out, "all right")) << outcome.out;
}

}  // namespace
}  // namespace headrace::serve
