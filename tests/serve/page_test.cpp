// The page, in Chromium.
#include <unistd.h>

#include <filesystem>

#include "local_hub.h"
#include "serve_test.h"

#include "device_environment.h"  // its namespace `testing` would hide GoogleTest's before

namespace headrace::serve {
namespace {

class Page : public ServeTest {
 protected:
  // A script of this folder, with the page of a server that is started with `arguments`.
  void Use(const std::string& script, const std::vector<std::string>& arguments);
  // Of the server that runs.
  void Use(const std::string& script);
  // With slow reads an answer is on its way while somebody looks.
  std::vector<std::string> Slowly() {
    environment_["HEADRACE_FAULT"] = "delay_us=5000";
    return {"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "4M", "--evict-after", "0"};
  }
};

void Page::Use(const std::string& script, const std::vector<std::string>& arguments) {
  ASSERT_TRUE(StartServer(arguments));
  Use(script);
}

void Page::Use(const std::string& script) {
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
  environment_["NODE_MODULES"] = modules;
  environment_["BASE_URL"] = "http://127.0.0.1:" + std::to_string(port_);
  const cli::Outcome outcome =
      Shell("timeout 280 node '" + std::string(HEADRACE_SOURCE_DIR) + "/tests/serve/" + script + "'");
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_TRUE(Has(outcome.out, "all right")) << outcome.out;
}

TEST_F(Page, LoadsStreamsChatsAndUnloads) {
  // With these an answer that is given again is the same, bit for bit (docs/server.md).
  Use("page_client.mjs", {"--models-dir", Models(), "--kernels", "plain", "--", "-no-kvu"});
}

TEST_F(Page, ShowsAnswersAndKeepsConversations) {
  Use("page_conversations_client.mjs", {"--models-dir", Models(), "--kernels", "plain", "--", "-no-kvu"});
}

TEST_F(Page, SuitsKeyboardsScreenReadersAndScreensOfAnySize) {
  Use("page_access_client.mjs", {"--models-dir", Models(), "--kernels", "plain"});
}

// A model beside a projector, which its template makes think, and one that is blind.
TEST_F(Page, TakesFilesAndShowsThoughts) {
  const std::string models = tree_.Path("models");
  const std::filesystem::path seeing = models + "/seeing";
  std::filesystem::create_directories(seeing);
  std::filesystem::copy(Models() + "/austen-dense-q4_0.gguf", seeing);
  std::filesystem::copy(Models() + "/austen-draft-f16.gguf", models);
  const std::string folder = std::string(HEADRACE_SOURCE_DIR) + "/tests/serve/";
  const auto made =
      Shell("python3 -B '" + folder + "make_projector.py' '" + (seeing / "mmproj-tiny.gguf").string() + "' 512");
  ASSERT_EQ(made.status, 0) << made.err;
  Use("page_attachments_client.mjs", {"--models-dir", models, "--", "--chat-template-file", folder + "thinking.jinja"});
}

TEST_F(Page, OffersModelsToBeginWith) { Use("page_welcome_client.mjs", {"--models-dir", Models(), "--ram", "2G"}); }

TEST_F(Page, GetsAndDeletesModels) {
  LocalHub hub(tree_);
  const std::string large = tree_.File("large.gguf");
  std::filesystem::resize_file(large, uint64_t{8} << 40);
  hub.Start(CommandTest::Model());
  auto& repositories = hub.configuration()["repositories"];
  repositories["u/secret-GGUF"] = repositories[LocalHub::kRepository];
  repositories["u/secret-GGUF"]["token"] = "t";
  repositories["u/large-GGUF"]["commit"] = std::string(40, 'b');
  repositories["u/large-GGUF"]["files"]["large-Q4_0.gguf"] = {{"source", large}, {"sha256", std::string(64, 'a')}};
  hub.Write();
  environment_["HF_ENDPOINT"] = hub.address();
  environment_["HUB_FILE"] = tree_.Path("hub.json");
  Use("page_models_client.mjs", {});
}

TEST_F(Page, SurvivesTheServer) {
  const auto arguments = Slowly();
  ASSERT_TRUE(StartServer(arguments));
  std::vector<std::string> again = {"serve", "--port", std::to_string(port_)};
  again.insert(again.end(), arguments.begin(), arguments.end());
  environment_["SERVER_ARGUMENTS"] = Json(again).dump();
  environment_["SERVER_PID"] = std::to_string(server_->pid());
  Use("page_lost_client.mjs");
}

TEST_F(Page, WaitsAndStops) {
  auto arguments = Slowly();
  arguments.insert(arguments.end(), {"--", "-np", "1"});
  Use("page_waiting_client.mjs", arguments);
}

// A file system in memory is another drive than that of the models.
TEST_F(Page, ShowsTheDrivesThatAreRead) {
  const std::filesystem::path there = "/dev/shm/headrace-page-" + std::to_string(::getpid());
  std::filesystem::create_directory(there);
  std::filesystem::copy(Models() + "/austen-dense-q4_0.gguf", there);
  Use("page_drives_client.mjs",
      {"--models-dir", Models(), "--flash-mode", "on", "--weights-ram", "5M", "--mirror", there.string()});
  std::filesystem::remove_all(there);
}

TEST_F(Page, PutsAModelOnADevice) {
  const auto device = headrace::testing::VulkanDevice();
  HEADRACE_NEEDS(device);
  for (const auto& [name, value] : device.environment) environment_[name] = value;
  std::filesystem::create_directories(environment_["MESA_SHADER_CACHE_DIR"]);
  Use("page_devices_client.mjs", {"--models-dir", Models(), "--", "-c", "512"});
}

}  // namespace
}  // namespace headrace::serve
