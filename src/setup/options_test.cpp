#include "setup/options.h"

#include <map>

#include <gtest/gtest.h>

#include "base/size.h"

namespace headrace::cli {
namespace {

Result<ResolvedConfig> Resolve(const FlashOptions& options, const std::map<std::string, std::string>& variables = {},
                               const AvailableMemory& available = {8 * kGiB, "free memory"}) {
  return ResolveConfig(
      options,
      [&](const char* name) {
        const auto it = variables.find(name);
        return it == variables.end() ? nullptr : it->second.c_str();
      },
      available);
}

TEST(ResolveConfig, Defaults) {
  const auto resolved = Resolve({});
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(resolved->config.flash_mode, FlashMode::kAuto);
  EXPECT_EQ(resolved->config.kernels, Kernels::kAuto);
  EXPECT_EQ(resolved->config.process_bytes, Config::kAutomatic) << "the library keeps looking";
  EXPECT_EQ(resolved->config.weights_bytes, 0u);
  EXPECT_EQ(resolved->limits.process_bytes, 8 * kGiB - 8 * kGiB / 10);
  EXPECT_EQ(resolved->limits.process_origin, "auto: 8.00 GiB of free memory, less 819 MiB");
  EXPECT_FALSE(resolved->config.debug);
}

TEST(ResolveConfig, UnknownMemoryStillGivesABudget) {
  const auto resolved = Resolve({}, {}, {});
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(resolved->limits.process_bytes, kUnknownMemoryLimit);
}

TEST(ResolveConfig, MemoryForWeightsAloneIsTheOnlyLimit) {
  auto resolved = Resolve({"", "1G"}, {{"HEADRACE_WEIGHTS_RAM", "2G"}});
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(resolved->limits.weights_bytes, kGiB);
  EXPECT_EQ(resolved->limits.weights_origin, "--weights-ram");
  EXPECT_EQ(resolved->limits.process_bytes, 0u);
  EXPECT_EQ(Resolve({"auto", "1G"})->limits.process_bytes, 8 * kGiB - 8 * kGiB / 10);
  EXPECT_EQ(Resolve({"", "1G"}, {{"HEADRACE_RAM", "3G"}})->limits.process_bytes, 3 * kGiB);
  resolved = Resolve({}, {{"HEADRACE_WEIGHTS_RAM", "2G"}});
  EXPECT_EQ(resolved->limits.weights_bytes, 2 * kGiB);
  EXPECT_EQ(resolved->limits.weights_origin, "HEADRACE_WEIGHTS_RAM");
}

TEST(ResolveConfig, EnvironmentThenOptions) {
  const std::map<std::string, std::string> variables = {{"HEADRACE_RAM", "1G"},
                                                        {"HEADRACE_FLASH_MODE", "on"},
                                                        {"HEADRACE_KERNELS", "plain"},
                                                        {"HEADRACE_SNAPSHOT", "/tmp/foreign"}};
  auto resolved = Resolve({}, variables);
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(resolved->config.process_bytes, kGiB);
  EXPECT_EQ(resolved->config.flash_mode, FlashMode::kOn);
  EXPECT_EQ(resolved->config.kernels, Kernels::kPlain);
  EXPECT_EQ(resolved->config.snapshot_path, "");
  resolved = Resolve({"2G", "", "off", "repack", true, true}, variables);
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(resolved->config.process_bytes, 2 * kGiB);
  EXPECT_EQ(resolved->config.flash_mode, FlashMode::kOff);
  EXPECT_EQ(resolved->config.kernels, Kernels::kRepack);
  EXPECT_TRUE(resolved->config.lock);
  EXPECT_TRUE(resolved->config.debug);
}

TEST(ResolveConfig, AWrongVariableThatAnOptionOverridesDoesNoHarm) {
  EXPECT_FALSE(Resolve({}, {{"HEADRACE_RAM", "lots"}}).ok());
  EXPECT_TRUE(Resolve({"1G"}, {{"HEADRACE_RAM", "lots"}}).ok());
}

TEST(ResolveConfig, KvCacheInAFile) {
  FlashOptions options;
  options.kv_dir = ".";
  options.kv_ram = "2G";
  auto resolved = Resolve(options, {{"HEADRACE_KV_DISK_MAX", "9G"}, {"HEADRACE_KV_RAM", "lots"}});
  ASSERT_TRUE(resolved.ok()) << resolved.status().message();
  EXPECT_EQ(resolved->config.kv_dir, ".");
  EXPECT_EQ(resolved->config.kv_ram_bytes, 2 * kGiB);
  EXPECT_EQ(resolved->config.kv_disk_max_bytes, 9 * kGiB);
  EXPECT_EQ(resolved->limits.kv_bytes, 2 * kGiB);
  options.kv_ram = "";
  EXPECT_EQ(Resolve(options)->limits.kv_bytes, (8 * kGiB - 8 * kGiB / 10) / 4) << "a quarter of what auto allows";
  EXPECT_EQ(Resolve(options)->config.kv_ram_bytes, Resolve(options)->limits.kv_bytes) << "the library is told";
  options.ram = "2G";
  EXPECT_EQ(Resolve(options)->limits.kv_bytes, kGiB / 2);
  options.ram = "";
  options.weights_ram = "1G";
  EXPECT_EQ(Resolve(options)->limits.kv_bytes, (8 * kGiB - 8 * kGiB / 10) / 4);
  EXPECT_EQ(Resolve({})->limits.kv_bytes, 0u);
  options.kv_ram = "0";
  EXPECT_NE(Resolve(options).status().message().find("--kv-ram"), std::string::npos);
  // A folder that cannot be used is said before anything starts; a size without a folder too.
  EXPECT_EQ(Resolve({}, {{"HEADRACE_KV_DIR", "/nonexistent/folder"}}).status().code(), Code::kNotFound);
  EXPECT_NE(Resolve({}, {{"HEADRACE_KV_RAM", "1G"}}).status().message().find("--kv-dir"), std::string::npos);
}

TEST(ResolveConfig, NamesTheWrongOption) {
  const std::pair<FlashOptions, const char*> cases[] = {{{"lots"}, "--ram"},
                                                        {{"0"}, "--ram"},
                                                        {{"-1G"}, "--ram"},
                                                        {{"1G", "auto"}, "--weights-ram"},
                                                        {{"1G", "", "maybe"}, "--flash-mode"},
                                                        {{"1G", "", "on", "fast"}, "--kernels"}};
  for (const auto& [options, name] : cases) {
    const auto resolved = Resolve(options);
    ASSERT_FALSE(resolved.ok()) << name;
    EXPECT_EQ(resolved.status().code(), Code::kInvalidArgument);
    EXPECT_NE(resolved.status().message().find(name), std::string::npos) << resolved.status().message();
  }
}

TEST(ResolveConfig, MemoryOfDevices) {
  EXPECT_EQ(Resolve({})->vram.mode, VramLimit::Mode::kAuto);
  FlashOptions options;
  EXPECT_EQ(Resolve(options, {{"HEADRACE_VRAM", "4G"}})->vram.bytes, 4 * kGiB);
  EXPECT_EQ(Resolve(options, {{"HEADRACE_VRAM", "4G"}})->vram.origin, "HEADRACE_VRAM");
  EXPECT_EQ(Resolve(options, {{"HEADRACE_VRAM", ""}})->vram.mode, VramLimit::Mode::kAuto);
  options.vram = "off";
  EXPECT_EQ(Resolve(options, {{"HEADRACE_VRAM", "much"}})->vram.mode, VramLimit::Mode::kOff)
      << "a variable that an option overrides is not read";
  options.vram = "much";
  const auto wrong = Resolve(options);
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.status().code(), Code::kInvalidArgument);
  EXPECT_FALSE(Resolve({}, {{"HEADRACE_VRAM", "0"}}).ok());
}

}  // namespace
}  // namespace headrace::cli
