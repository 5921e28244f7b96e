#include "setup/server_memory.h"

#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

using Words = std::vector<std::string>;

struct Settled {
  Status status;
  Environment environment;
  Config config;
  size_t lines = 0;
};

Settled Settle(bool router, const Words& arguments, uint64_t process_bytes, uint64_t weights_bytes = 0,
               Environment environment = {}) {
  Settled settled;
  settled.environment = std::move(environment);
  settled.config.process_bytes = process_bytes;
  settled.config.weights_bytes = weights_bytes;
  settled.config.kv_ram_bytes = 300;
  MemoryLimits limits;
  limits.process_bytes = process_bytes == Config::kAutomatic ? kGiB : process_bytes;
  limits.weights_bytes = weights_bytes;
  const auto lines = SettleUnknownServer(router, arguments, limits, settled.environment, settled.config);
  settled.status = lines.status();
  if (lines.ok()) settled.lines = lines->size();
  return settled;
}

const Environment kNoStates = {{"LLAMA_ARG_CTX_CHECKPOINTS", "0"}, {"LLAMA_ARG_CACHE_RAM", "0"}};

TEST(UnknownServer, KeepsNoStatesUnlessItsUserSaysSo) {
  EXPECT_EQ(Settle(false, {}, kGiB).environment, kNoStates);
  EXPECT_EQ(Settle(false, {}, kGiB).config.process_bytes, kGiB) << "the whole budget is the library's";
  const Settled asked = Settle(false, {"--cache-ram", "64", "--ctx-checkpoints", "4"}, kGiB);
  EXPECT_TRUE(asked.environment.empty());
  EXPECT_EQ(asked.lines, 0u);
  EXPECT_EQ(Settle(false, {"--cache-ram", "-1"}, kGiB).status.code(), Code::kInvalidArgument);
  EXPECT_TRUE(Settle(false, {"--cache-ram", "-1"}, 0, kGiB).status.ok()) << "weights alone have a limit";
}

TEST(UnknownServer, AVariableThatIsThereIsReplaced) {
  // Its option is among the arguments unless the server does not know the variable.
  const Settled settled = Settle(false, {"--cache-ram", "1"}, kGiB, 0, {{"LLAMA_ARG_CTX_CHECKPOINTS", "many"}});
  EXPECT_EQ(settled.environment, (Environment{{"LLAMA_ARG_CTX_CHECKPOINTS", "0"}}));
}

TEST(UnknownServer, ModelsOfARouterShareTheLimits) {
  const Settled one = Settle(true, {}, kGiB);
  EXPECT_EQ(one.environment.back(), (std::pair<std::string, std::string>("LLAMA_ARG_MODELS_MAX", "1")));
  EXPECT_LT(one.config.process_bytes, kGiB) << "the router has its own memory";
  EXPECT_GT(one.config.process_bytes, kGiB - 16 * kMiB);
  const Settled three = Settle(true, {"--models-max", "3"}, kGiB, 600);
  EXPECT_EQ(three.environment, kNoStates);
  EXPECT_EQ(three.config.process_bytes, one.config.process_bytes / 3);
  EXPECT_EQ(three.config.weights_bytes, 200u);
  EXPECT_EQ(three.config.kv_ram_bytes, 100u);
  EXPECT_GE(Settle(true, {}, 1).config.process_bytes, 1u) << "0 would be no limit";
  for (const char* models : {"0", "-1", "many"})
    EXPECT_EQ(Settle(true, {"--models-max", models}, kGiB).status.code(), Code::kInvalidArgument) << models;
}

TEST(UnknownServer, WhatIsAvailableIsFoundOutByEachModelsProcess) {
  const Settled automatic = Settle(true, {"--models-max", "0"}, Config::kAutomatic);
  EXPECT_TRUE(automatic.status.ok());
  EXPECT_EQ(automatic.config.process_bytes, Config::kAutomatic);
  EXPECT_EQ(automatic.environment, kNoStates);
}

}  // namespace
}  // namespace headrace::cli
