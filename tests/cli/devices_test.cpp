// --vram with a device that is computed in software (scripts/install-devices.sh): what goes there, what is foretold and
// said about it. Its memory is the machine's, so that it is used only where a size is given.
#include <filesystem>

#include <nlohmann/json.hpp>

#include "base/size.h"
#include "command_runner.h"

#include "device_environment.h"  // its namespace `testing` would hide GoogleTest's before

namespace headrace::cli {
namespace {

using Json = nlohmann::json;

class Devices : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    if (Run({"engine"}).status != 0) GTEST_SKIP() << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
    const auto device = headrace::testing::VulkanDevice();
    HEADRACE_NEEDS(device);
    for (const auto& [name, value] : device.environment) environment_[name] = value;
    std::filesystem::create_directories(environment_["MESA_SHADER_CACHE_DIR"]);
  }

  static std::string Mixture() { return std::string(HEADRACE_SOURCE_DIR) + "/models/austen-moe-q4_0.gguf"; }

  Json Plan(const std::string& model, std::vector<std::string> options,
            const std::vector<std::string>& engine_options = {}) {
    std::vector<std::string> words = {"plan", model, "--json", "-c", "512", "--ram", "600M"};
    words.insert(words.end(), options.begin(), options.end());
    words.emplace_back("--");
    words.insert(words.end(), engine_options.begin(), engine_options.end());
    const Outcome outcome = Run(words);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    const Json json = Json::parse(outcome.out, nullptr, false);
    return json.is_discarded() ? Json() : json;
  }

  Outcome Answer(const std::string& model, std::vector<std::string> options,
                 const std::vector<std::string>& engine_options = {}) {
    std::vector<std::string> words = {"run", model, "-c",     "512", "--raw", "-p",  "It is a truth",
                                      "-n",  "4",   "--temp", "0",   "--ram", "600M"};
    words.insert(words.end(), options.begin(), options.end());
    words.emplace_back("--");
    words.insert(words.end(), engine_options.begin(), engine_options.end());
    return Run(words);
  }
};

// More room, more weights there, experts that the engine keeps among them: never more than the room, and all weights
// are somewhere.
TEST_F(Devices, WhatFitsGoesThere) {
  for (const std::string& model : {Mixture(), Model()}) {
    uint64_t before = 0;
    for (const uint64_t mib : {16, 20, 60}) {
      const Json json = Plan(model, {"--vram", std::to_string(mib) + "M"});
      ASSERT_EQ(json["devices"].size(), 1u) << json.dump();
      const Json& device = json["devices"][0];
      EXPECT_EQ(device["name"], "Vulkan0");
      EXPECT_EQ(device["room_bytes"], mib * kMiB);
      EXPECT_LE(device["weight_bytes"].get<uint64_t>() + device["context_bytes"].get<uint64_t>() +
                    device["compute_bytes"].get<uint64_t>(),
                mib * kMiB);
      const auto weights = json["memory"]["device_weight_bytes"].get<uint64_t>();
      const uint64_t there = weights + json["vram"]["expert_cache_bytes"].get<uint64_t>();
      EXPECT_GT(there, before) << json["devices_decision"];
      EXPECT_NEAR(device["weight_bytes"].get<double>(), static_cast<double>(weights), 1.0 * kMiB)
          << "as the engine counts it";
      EXPECT_EQ(json["memory"]["weight_bytes"].get<uint64_t>() + weights,
                json["model"]["weight_bytes"].get<uint64_t>());
      before = there;
    }
    const Json all = Plan(model, {"--vram", "60M", "--flash-mode", "on"});
    EXPECT_TRUE(Has(all["decision"], "all layers are on devices")) << all["decision"];
    EXPECT_EQ(all["model"]["managed_bytes"].get<uint64_t>() + all["model"]["expert_bytes"].get<uint64_t>(), 0u);
    EXPECT_EQ(all["plan"]["streamed_bytes_per_pass"], 0);
  }
}

TEST_F(Devices, AMixtureKeepsExpertsInMemoryBeforeAnythingElse) {
  const Json json = Plan(Mixture(), {"--vram", "18M"});
  EXPECT_TRUE(
      Has(json["devices_decision"],
          "all layers but for experts, within 18.0 MiB (--vram); the engine keeps experts in use there, at most "))
      << json["devices_decision"];
  EXPECT_GT(json["vram"]["expert_cache_bytes"].get<uint64_t>(), 0u);
  EXPECT_EQ(json["model"]["managed_bytes"], 0) << "routers and attention";
  EXPECT_GT(json["model"]["expert_bytes"].get<uint64_t>(), 0u);
  EXPECT_EQ(json["memory"]["context_bytes"], 0);
}

TEST_F(Devices, TheUsersOwnOptionsCount) {
  const Json json = Plan(Mixture(), {"--vram", "60M"}, {"-ngl", "2"});
  EXPECT_TRUE(Has(json["devices_decision"], "as the engine's options say; --vram is ignored"))
      << json["devices_decision"];
  EXPECT_NEAR(json["devices"][0]["weight_bytes"].get<double>(), json["memory"]["device_weight_bytes"].get<double>(),
              1.0 * kMiB);
  EXPECT_LT(json["memory"]["device_weight_bytes"], 4 * kMiB);
  const Json none = Plan(Mixture(), {}, {"-dev", "none"});
  EXPECT_TRUE(none["devices"].empty());
  EXPECT_EQ(none["memory"]["device_weight_bytes"], 0);
}

TEST_F(Devices, OffAndNoMemoryOfItsOwnLeaveItOut) {
  for (const std::vector<std::string>& options : {std::vector<std::string>{"--vram", "off"}, {}, {"--vram", "auto"}}) {
    const Json json = Plan(Mixture(), options);
    EXPECT_TRUE(json["devices"].empty()) << json["devices"].dump();
    EXPECT_EQ(json["memory"]["device_weight_bytes"], 0);
    EXPECT_GT(json["memory"]["context_bytes"].get<uint64_t>(), 0u) << "the engine would put it there";
    const bool off = options.size() == 2 && options[1] == "off";
    EXPECT_EQ(Has(json["devices_decision"], "uses the machine's memory"), !off) << json["devices_decision"];
  }
}

TEST_F(Devices, AnAnswerComesFromBoth) {
  const Outcome outcome = Answer(Mixture(), {"--vram", "18M"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "headrace: Vulkan0 has ")) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("It is a truth ")) << outcome.out;
}

TEST_F(Devices, AllLayersThereIsNoReasonToSuspectTheEngine) {
  const Outcome outcome = Answer(Mixture(), {"--vram", "60M", "--flash-mode", "on"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "all layers are on devices")) << outcome.err;
  EXPECT_FALSE(Has(outcome.err, "statically")) << outcome.err;
  EXPECT_FALSE(Has(outcome.err, "nothing was streamed")) << outcome.err;
}

// Nobody foretells what these do: what was uploaded says why nothing streamed.
TEST_F(Devices, AllLayersThereIsSaidOfAnyProgram) {
  const std::vector<std::string> bench = {"llama-bench", "-m", Mixture(), "-ngl", "99", "-p",
                                          "4",           "-n", "2",       "-r",   "1"};
  std::vector<std::string> words = {"exec", "--flash-mode", "on", "--stats", "--"};
  words.insert(words.end(), bench.begin(), bench.end());
  const Outcome outcome = Run(words);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "all layers are on devices: weights were read once, while they were loaded, and "))
      << outcome.err;
  const Outcome measured =
      Run({"bench", Mixture(), "--flash-mode", "on", "--vram", "60M", "-p", "4", "-n", "2", "-r", "1"});
  EXPECT_EQ(measured.status, 0) << measured.err;
  EXPECT_TRUE(Has(measured.out, "all layers are on devices, nothing streams once they are loaded")) << measured.out;
}

TEST_F(Devices, ExecTellsTheProgramWhatGoesThere) {
  const Outcome outcome = Run({"exec", "--ram", "600M", "--vram", "18M", "--debug", "--", "llama-completion", "-m",
                               Mixture(), "-c", "512", "-p", "It is", "-n", "2", "--no-warmup", "-no-cnv"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "headrace: Vulkan0 has ")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, " -ngl 7 -ncmoe 6 --moe-cache-mib ")) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, " -fit off")) << outcome.err;
}

TEST_F(Devices, WhatCannotBeIsAnErrorWithItsArithmetic) {
  ExpectError({"plan", Mixture(), "--vram", "1M"}, 2,
              "--vram 1.00 MiB is too little: what comes after the last layer (577 KiB) and what is computed with (");
  ExpectError({"plan", Mixture(), "--vram", "1M"}, 2, " or --vram off");
  ExpectError({"plan", Mixture(), "--vram", "1000G"}, 2, "is more than is free on Vulkan0: ");
}

TEST_F(Devices, DoctorShowsIt) {
  const Json json = Json::parse(Run({"doctor", "--json"}).out, nullptr, false);
  for (const Json& check : json["checks"]) {
    if (check["key"] != "devices") continue;
    EXPECT_TRUE(Has(check["value"], "Vulkan0: llvmpipe")) << check.dump();
    EXPECT_TRUE(Has(check["value"], "copies at ")) << check.dump();
    EXPECT_EQ(check["verdict"], "note");
    ASSERT_EQ(json["facts"]["devices"].size(), 1u) << json.dump();
    EXPECT_GT(json["facts"]["devices"][0]["copy_bytes_per_s"], 1e6);
    EXPECT_GT(json["facts"]["devices"][0]["staged_copy_bytes_per_s"], 1e6) << "it gives out memory for it";
    return;
  }
  FAIL() << json.dump();
}

class NoDevices : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    environment_.erase("GGML_BACKEND_PATH");  // of whoever runs the tests
  }
};

TEST_F(NoDevices, ASizeIsAnErrorAndTheOthersMeanNothing) {
  if (Run({"engine"}).status != 0) GTEST_SKIP() << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
  for (const char* command : {"run", "plan", "bench"}) {
    ExpectError({command, Model(), "--vram", "1G"}, 2, "--vram 1.00 GiB: this llama.cpp has no device here");
  }
  ExpectError({"exec", "--vram", "1G", "--", "llama-completion", "-m", Model(), "-p", "x", "-n", "1"}, 2,
              "has no device here");
  ExpectError({"serve", Model(), "--vram", "1G", "--port", "0"}, 2, "has no device here");
  const std::string requests = tree_.File(
      "requests.jsonl",
      R"({"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": {"prompt": "x", "max_tokens": 1}})"
      "\n");
  const Outcome batch = Run({"batch", Model(), requests, "--vram", "1G"});
  EXPECT_EQ(batch.status, 2) << batch.err;
  EXPECT_TRUE(Has(batch.err, "--vram 1.00 GiB: this llama.cpp has no device here")) << batch.err;
  for (const char* size : {"0", "-1", "1X"}) ExpectError({"plan", Model(), "--vram", size}, 2, "--vram");
  ExpectError({"plan", Model(), "--vram", "much"}, 2, "--vram");
  const Outcome without = Run({"plan", Model()});
  for (const char* vram : {"auto", "off"}) EXPECT_EQ(Run({"plan", Model(), "--vram", vram}).status, 0);
  EXPECT_FALSE(Has(without.out, "device")) << without.out;
}

}  // namespace
}  // namespace headrace::cli
