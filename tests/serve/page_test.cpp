// The page, in Chromium.
#include <filesystem>

#include "serve_test.h"

namespace headrace::serve {
namespace {

class Page : public ServeTest {};

TEST_F(Page, LoadsStreamsChatsAndUnloads) {
  const std::string modules = HEADRACE_NODE_MODULES;
  ASSERT_EQ(Shell("command -v node").status, 0) << "node is not installed";
  if (!std::filesystem::exists(modules + "/playwright-core")) {
    GTEST_SKIP() << "no " << modules << "/playwright-core: run scripts/install-node-packages.sh";
  }
  const cli::Outcome browser = Shell("command -v chromium || command -v chromium-browser || command -v google-chrome");
  ASSERT_EQ(browser.status, 0) << "Chromium is not installed: run scripts/install-packages.sh test";
  environment_["CHROMIUM"] = browser.out.substr(0, browser.out.find('\n'));
  environment_["SHOTS"] = HEADRACE_SCREENSHOTS;
  std::filesystem::create_directories(HEADRACE_SCREENSHOTS);
  // With these an answer that is given again is the same, bit for bit (docs/server.md).
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--kernels", "plain", "--", "-no-kvu"}));
  environment_["NODE_MODULES"] = modules;
  environment_["BASE_URL"] = "http://127.0.0.1:" + std::to_string(port_);
  const cli::Outcome outcome = Shell("timeout 240 node '" + std::string(HEADRACE_SOURCE_DIR) + "/tests/serve/page_client.mjs'");
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_TRUE(Has(outcome.out, "all right")) << outcome.out;
}

}  // namespace
}  // namespace headrace::serve
