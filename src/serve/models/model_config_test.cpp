#include "serve/models/model_config.h"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "base/temporary_tree.h"
#include "serve/models/config_store.h"

namespace headrace::serve {
namespace {

using Json = nlohmann::json;

TEST(ModelConfig, EveryKeyThereAndBack) {
  const Json all = {{"flash_mode", "on"},     {"flash_ram_gb", 2.5},     {"ram_gb", 4.5},      {"flash_debug", true},
                    {"context_length", 4096}, {"kv_cache_type", "q8_0"}, {"draft_model", "d"}, {"speculate", "on"},
                    {"draft_tokens", 4},      {"projector", ""},         {"embedding", false}, {"slots", 2},
                    {"vram_gb", 1.5}};
  const auto config = ParseModelConfig(all, {});
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(ToJson(*config), all);
  for (const auto& [key, unused] : all.items()) {
    const auto reset = ParseModelConfig({{key, nullptr}}, *config);
    EXPECT_EQ(ToJson(*reset).size(), all.size() - 1) << key;
  }
  EXPECT_EQ(*ParseModelConfig({{"flash_mode", false}}, *config)->flash_mode, FlashMode::kOff);
  const cli::FlashOptions options = ToFlashOptions({.ram = "1G", .flash_mode = "off", .kernels = "plain"}, *config);
  EXPECT_EQ(options.weights_ram, "2684354560");
  EXPECT_EQ(options.ram, "4831838208");
  EXPECT_EQ(options.flash_mode, "on");
  EXPECT_EQ(options.kernels, "plain");
  EXPECT_EQ(options.vram, "1.500000G");
  EXPECT_EQ(ToFlashOptions({.vram = "8G"}, {}).vram, "8G");
  EXPECT_EQ(ToJson(*ParseModelConfig({{"vram_gb", "off"}}, *config))["vram_gb"], "off");
}

TEST(ModelConfig, WrongValuesNameTheirKey) {
  const std::pair<const char*, Json> wrong[] = {
      {"flash_mode", "yes"},    {"flash_mode", 1},         {"flash_ram_gb", 0},
      {"flash_ram_gb", "8"},    {"flash_ram_gb", 1e9},     {"flash_debug", 1},
      {"vram_gb", 0},           {"vram_gb", "8G"},         {"vram_gb", true},
      {"vram_gb", -1},          {"context_length", -1},    {"context_length", 1.5},
      {"context_length", 1e12}, {"kv_cache_type", "q9_0"}, {"draft_model", 3},
      {"speculate", "yes"},     {"speculate", true},       {"draft_tokens", 0},
      {"draft_tokens", 32},     {"embedding", "no"},       {"slots", 0},
      {"slots", 1000},          {"unheard_of", 1}};
  for (const auto& [key, value] : wrong) {
    const auto config = ParseModelConfig({{key, value}}, {});
    ASSERT_FALSE(config.ok()) << key << value;
    EXPECT_NE(config.status().message().find(key), std::string::npos) << config.status().message();
  }
  EXPECT_FALSE(ParseModelConfig(Json::array(), {}).ok());
  EXPECT_TRUE(ParseModelConfig({{"model", "x"}}, {}, {"model"}).ok());
}

class ConfigStoreTest : public testing::Test {
 protected:
  std::string Content() const {
    std::ifstream file(store_.path());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  TemporaryTree tree_;
  ConfigStore store_{tree_.Path("a/b/models.json")};
};

TEST_F(ConfigStoreTest, RemembersEachModelApart) {
  EXPECT_EQ(*store_.Find("/m"), ModelConfig());
  ModelConfig config;
  config.slots = 3;
  ASSERT_TRUE(store_.Remember("/m", config).ok());
  config.slots = 4;
  ASSERT_TRUE(store_.Remember("/n", config).ok());
  EXPECT_EQ(store_.Find("/m")->slots, 3u);
  EXPECT_EQ(store_.Find("/n")->slots, 4u);
  ASSERT_TRUE(store_.Remember("/m", {}).ok());
  EXPECT_EQ(Content().find("/m"), std::string::npos) << "nothing to remember";
}

TEST_F(ConfigStoreTest, ABrokenFileIsReportedAndKept) {
  for (const char* text :
       {"", "{", "[]", "{\"version\": 2, \"models\": {}}", "{\"models\": {}}", "{\"version\": 1, \"models\": []}"}) {
    tree_.File("a/b/models.json", text);
    const auto found = store_.Find("/m");
    ASSERT_FALSE(found.ok()) << text;
    EXPECT_NE(found.status().message().find(store_.path()), std::string::npos);
    ModelConfig config;
    config.slots = 3;
    EXPECT_FALSE(store_.Remember("/m", config).ok()) << text;
    EXPECT_EQ(Content(), text);
  }
  tree_.File("a/b/models.json", R"({"version": 1, "models": {"/m": {"slots": "many"}}})");
  EXPECT_FALSE(store_.Find("/m").ok());
  EXPECT_TRUE(store_.Find("/n").ok()) << "only that model is concerned";
}

TEST_F(ConfigStoreTest, WhatCannotBeWrittenIsAnError) {
  tree_.File("file", "x");
  ModelConfig config;
  config.slots = 3;
  EXPECT_FALSE(ConfigStore(tree_.Path("file/models.json")).Remember("/m", config).ok());
  EXPECT_TRUE(ConfigStore("").Remember("/m", config).ok()) << "no home, nothing remembered";
}

TEST(ModelConfigErrors, ANameOfTwoLinesIsShownOnOne) {
  const auto config = ParseModelConfig({{"context_l\ngs", 4}}, {});
  ASSERT_FALSE(config.ok());
  EXPECT_TRUE(config.status().message().starts_with("there is no setting context_l gs; ")) << config.status().message();
}

}  // namespace
}  // namespace headrace::serve
