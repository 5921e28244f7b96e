#include "base/config.h"

#include <map>

#include <gtest/gtest.h>

#include "base/size.h"

namespace headrace {
namespace {

using Environment = std::map<std::string, std::string>;

Result<Config> Parse(const Environment& environment) {
  return ParseConfig([&](const char* name) -> const char* {
    const auto it = environment.find(name);
    return it == environment.end() ? nullptr : it->second.c_str();
  });
}

TEST(Config, NothingConfiguredIsOff) {
  const auto config = Parse({});
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->flash_mode, FlashMode::kOff);
}

TEST(Config, MemoryAloneMeansAuto) {
  const auto config = Parse({{"HEADRACE_RAM", "8G"}});
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->flash_mode, FlashMode::kAuto);
  EXPECT_EQ(config->process_bytes, 8 * kGiB);
  EXPECT_EQ(config->weights_bytes, 0u);
  EXPECT_EQ(Parse({{"HEADRACE_RAM", "8G"}, {"HEADRACE_FLASH_MODE", "off"}})->flash_mode, FlashMode::kOff);
}

TEST(Config, WholeProcessAndWeightsAlone) {
  EXPECT_EQ(Parse({})->process_bytes, Config::kAutomatic);
  EXPECT_EQ(Parse({{"HEADRACE_RAM", "auto"}})->process_bytes, Config::kAutomatic);
  EXPECT_EQ(Parse({{"HEADRACE_RAM", "auto"}})->flash_mode, FlashMode::kAuto);
  const auto weights = Parse({{"HEADRACE_WEIGHTS_RAM", "1G"}});
  EXPECT_EQ(weights->process_bytes, 0u) << "the only limit";
  EXPECT_EQ(weights->weights_bytes, kGiB);
  EXPECT_EQ(weights->flash_mode, FlashMode::kAuto);
  const auto both = Parse({{"HEADRACE_WEIGHTS_RAM", "1G"}, {"HEADRACE_RAM", "auto"}, {"HEADRACE_REST", "300M"}});
  EXPECT_EQ(both->process_bytes, Config::kAutomatic);
  EXPECT_EQ(both->weights_bytes, kGiB);
  EXPECT_EQ(both->rest_bytes, 300 * kMiB);
}

TEST(Config, SurvivesTheEnvironment) {
  Config config;
  config.flash_mode = FlashMode::kOn;
  config.process_bytes = 22345678;
  config.weights_bytes = 12345678;
  config.rest_bytes = 1234567;
  config.kernels = Kernels::kRepack;
  config.debug = true;
  config.kv_dir = "/var/tmp";
  config.kv_ram_bytes = 23456789;
  config.kv_disk_max_bytes = 34567890;
  config.snapshot_path = "/dev/shm/x";
  config.lock = true;
  config.look_ahead = false;
  config.remember = false;
  config.reader = "buffered";
  config.disk_bytes_per_s = 5e9;
  Environment environment;
  for (const auto& [name, value] : config.ToEnvironment()) environment[name] = value;
  const auto back = Parse(environment);
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(back->flash_mode, config.flash_mode);
  EXPECT_EQ(back->process_bytes, config.process_bytes);
  EXPECT_EQ(back->weights_bytes, config.weights_bytes);
  EXPECT_EQ(back->rest_bytes, config.rest_bytes);
  EXPECT_EQ(back->kernels, config.kernels);
  EXPECT_EQ(back->debug, config.debug);
  EXPECT_EQ(back->kv_dir, config.kv_dir);
  EXPECT_EQ(back->kv_ram_bytes, config.kv_ram_bytes);
  EXPECT_EQ(back->kv_disk_max_bytes, config.kv_disk_max_bytes);
  EXPECT_EQ(back->snapshot_path, config.snapshot_path);
  EXPECT_EQ(back->lock, config.lock);
  EXPECT_EQ(back->look_ahead, config.look_ahead);
  EXPECT_EQ(back->remember, config.remember);
  EXPECT_EQ(back->reader, config.reader);
  EXPECT_EQ(back->disk_bytes_per_s, config.disk_bytes_per_s);
}

TEST(Config, RefusesNamingTheVariable) {
  for (const auto& [name, value] : Environment{{"HEADRACE_RAM", "much"},
                                               {"HEADRACE_WEIGHTS_RAM", "auto"},
                                               {"HEADRACE_REST", "0"},
                                               {"HEADRACE_FLASH_MODE", "maybe"},
                                               {"HEADRACE_KERNELS", "fast"},
                                               {"HEADRACE_DEBUG", "yes"},
                                               {"HEADRACE_LOCK", "all"},
                                               {"HEADRACE_LOOK_AHEAD", "2"},
                                               {"HEADRACE_REMEMBER", "2"},
                                               {"HEADRACE_KV_RAM", "0"},
                                               {"HEADRACE_KV_DISK_MAX", "all"},
                                               {"HEADRACE_READER", "tape"},
                                               {"HEADRACE_DISK", "-1"}}) {
    const auto config = Parse({{name, value}});
    ASSERT_FALSE(config.ok()) << name;
    EXPECT_EQ(config.status().code(), Code::kInvalidArgument);
    EXPECT_NE(config.status().message().find(name), std::string::npos);
  }
  EXPECT_FALSE(Parse({{"HEADRACE_RAM", "0"}}).ok());
}

}  // namespace
}  // namespace headrace
