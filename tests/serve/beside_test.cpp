// What lies beside a model, and what sees one that is loaded: its Modelfile, a KV cache in a file, headrace top.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "serve_test.h"

namespace headrace::serve {
namespace {

class BesideTheModel : public ServeTest {
 protected:
  void SetUp() override {
    ServeTest::SetUp();
    tree_.File("models/placeholder");
    std::filesystem::create_symlink(CommandTest::Model(), tree_.Path(std::string("models/") + kDense + ".gguf"));
  }
  bool StartWith(const std::string& modelfile, std::vector<std::string> more = {}) {
    tree_.File("models/Modelfile", modelfile);
    more.insert(more.begin(), {"--models-dir", tree_.Path("models")});
    return StartServer(more);
  }
  Json Defaults() { return Get(std::string("/props?model=") + kDense).body["default_generation_settings"]; }
};

TEST_F(BesideTheModel, ModelfileSetsWhatTheRequestDoesNot) {
  ASSERT_TRUE(
      StartWith("SYSTEM Be brief.\nPARAMETER temperature 0.25\nPARAMETER num_ctx 512\nFLASH on\nFLASH_RAM_GB "
                "0.004\nTEMPLATE x\n"));
  Answer answer = Load({{"model", kDense}});
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_TRUE(answer.body["decision"]["streams"].get<bool>()) << answer.text;
  EXPECT_EQ(answer.body["configuration"]["context_length"], 512);
  const Json modelfile = answer.body["modelfile"];
  EXPECT_EQ(modelfile["path"], tree_.Path("models/Modelfile"));
  EXPECT_EQ(modelfile["applied"], Json({"temperature 0.25", "num_ctx 512", "FLASH on", "FLASH_RAM_GB 0.004"}));
  EXPECT_TRUE(Has(modelfile["notes"].dump(), "is not applied: a chat")) << modelfile.dump();
  EXPECT_TRUE(Has(modelfile["notes"].dump(), "Modelfile:6: TEMPLATE is ignored")) << modelfile.dump();
  EXPECT_NEAR(Defaults()["params"]["temperature"].get<double>(), 0.25, 1e-3) << Defaults().dump();
  EXPECT_TRUE(Model(kDense)["remembered"].empty()) << "the file says it, nobody asked for it";
  EXPECT_EQ(Model(kDense)["loaded"]["modelfile"], modelfile);
  EXPECT_EQ(Get(std::string("/api/v1/models/estimate?model=") + kDense).body["modelfile"], modelfile);
  // What the request says goes before.
  answer = Load({{"model", kDense}, {"flash_mode", "off"}, {"context_length", 256}});
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_FALSE(answer.body["decision"]["streams"].get<bool>()) << answer.text;
  EXPECT_EQ(answer.body["configuration"]["context_length"], 256);
  EXPECT_TRUE(Has(answer.body["modelfile"]["notes"].dump(), "FLASH on is not applied: flash_mode")) << answer.text;
}

TEST_F(BesideTheModel, BrokenModelfileIsAnErrorThatNamesItsLine) {
  ASSERT_TRUE(StartWith("FLASH on\nPARAMETER warmth 9\n"));
  const std::string place = tree_.Path("models/Modelfile") + ":2: ";
  const Answer answer = Load({{"model", kDense}});
  EXPECT_EQ(answer.status, 400);
  EXPECT_TRUE(Has(answer.Error(), place)) << answer.text;
  EXPECT_TRUE(Has(Model(kDense)["error"], place));
  EXPECT_TRUE(Has(Complete(kDense).Error(), place)) << "a request that would load it";
  EXPECT_TRUE(Has(Get(std::string("/api/v1/models/estimate?model=") + kDense).Error(), place));
  // It is read at each load.
  tree_.File("models/Modelfile", "PARAMETER num_ctx 256\n");
  EXPECT_EQ(Load({{"model", kDense}}).body["configuration"]["context_length"], 256);
}

TEST_F(BesideTheModel, OptionsGoBeforeTheModelfileOrLeaveItOut) {
  ASSERT_TRUE(StartWith("PARAMETER temperature 0.25\n", {"--", "--temp", "0.5"}));
  ASSERT_EQ(Load({{"model", kDense}}).status, 200);
  EXPECT_NEAR(Defaults()["params"]["temperature"].get<double>(), 0.5, 1e-3);
  EndServer();
  ASSERT_TRUE(StartWith("PARAMETER warmth 9\n", {"--no-modelfile"}));
  const Answer answer = Load({{"model", kDense}});
  EXPECT_EQ(answer.status, 200) << answer.text;
  EXPECT_TRUE(answer.body["modelfile"].is_null());
}

TEST_F(BesideTheModel, TopSeesWhatIsLoaded) {
  ASSERT_TRUE(StartServer());
  ASSERT_EQ(Load({{"model", kDense}, {"flash_mode", true}, {"flash_ram_gb", 0.004}}).status, 200);
  const auto children = Children();
  const auto seen = [&]() -> Json {
    const Json json = Json::parse(Run({"top", "--json"}).out, nullptr, false);
    for (const Json& process : json.is_object() ? json["processes"] : Json::array()) {
      if (std::find(children.begin(), children.end(), process["pid"].get<pid_t>()) != children.end()) return process;
    }
    return nullptr;
  };
  const Json process = seen();
  ASSERT_TRUE(process.is_object()) << Run({"top", "--json"}).out;
  EXPECT_EQ(process["model"], std::string(kDense) + ".gguf");
  EXPECT_EQ(process["program"], "llama-server");
  EXPECT_EQ(process["bytes_read"], BytesRead(kDense));
  ASSERT_EQ(Post("/api/v1/models/unload", {{"model", kDense}}).status, 200);
  EXPECT_TRUE(seen().is_null());
  EXPECT_EQ(EndServer().status, 0);
  for (const auto& file : std::filesystem::directory_iterator("/dev/shm")) {
    EXPECT_FALSE(file.path().filename().string().starts_with("headrace-" + std::to_string(server_->id()) + "-"))
        << "left behind: " << file.path();
  }
}

TEST_F(BesideTheModel, KvCacheInAFile) {
  std::filesystem::create_directory(tree_.Path("kv"));
  ASSERT_TRUE(StartServer(
      {"--models-dir", Models(), "--kv-dir", tree_.Path("kv"), "--kv-ram", "6M", "--weights-ram", "4M", "--lock"}));
  const std::string before = Complete(kDense, 16).text;
  const Json flash = Flash(kDense);
  ASSERT_TRUE(flash.is_object());
  EXPECT_GT(flash["kv_bytes_written"], 0) << flash.dump();
  EXPECT_TRUE(Has(Model(kDense)["loaded"]["decision"]["reason"], "in a file")) << Model(kDense).dump();
}

}  // namespace
}  // namespace headrace::serve
