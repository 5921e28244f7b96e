// Models on a device that is computed in software (scripts/install-devices.sh): what the server says beforehand, and
// what it does.
#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/size.h"
#include "serve_test.h"

#include "device_environment.h"  // its namespace `testing` would hide GoogleTest's before

namespace headrace::serve {
namespace {

class Devices : public ServeTest {
 protected:
  void SetUp() override {
    ServeTest::SetUp();
    const auto device = headrace::testing::VulkanDevice();
    HEADRACE_NEEDS(device);
    for (const auto& [name, value] : device.environment) environment_[name] = value;
    std::filesystem::create_directories(environment_["MESA_SHADER_CACHE_DIR"]);
  }

  // A context of 512, so that little is needed beside weights.
  Json Estimate(const std::string& more, const std::string& model = kMoe) {
    const Answer answer = Get("/api/v1/models/estimate?model=" + model + "&context_length=512" + more);
    EXPECT_EQ(answer.status, 200) << answer.text;
    return answer.body;
  }
  Answer LoadOnto(Json vram_gb, Json more = Json::object(), const std::string& model = kMoe) {
    more.update({{"model", model}, {"context_length", 512}, {"vram_gb", std::move(vram_gb)}});
    return Load(more);
  }
  // The least that works for the mixture there, and so many MiB more, in GiB.
  double LeastAnd(double mib) {
    const uint64_t least = Bytes(Estimate("&flash_mode=on&vram_gb=0.001")["vram"]["least_bytes"]);
    EXPECT_GT(least, 0u);
    return (static_cast<double>(least) + mib * kMiB) / kGiB;
  }
  static uint64_t Bytes(const Json& number) { return number.is_number() ? number.get<uint64_t>() : 0; }
  static uint64_t Held(const Json& device) {
    return Bytes(device["weight_bytes"]) + Bytes(device["context_bytes"]) + Bytes(device["compute_bytes"]);
  }

  // The engine's programs, of which the one that lists devices says that they have as much free as FREE (in MiB) in the
  // folder says.
  std::string EngineWithFree() {
    const std::string folder = tree_.Path("engine");
    const std::filesystem::path from = std::string(HEADRACE_ENGINE_PREFIX) + "/usr/bin", to = folder;
    std::filesystem::create_directories(to);
    for (const auto& entry : std::filesystem::directory_iterator(from)) {
      if (entry.path().filename() != "llama-bench")
        std::filesystem::create_symlink(entry.path(), to / entry.path().filename());
    }
    tree_.File("engine/llama-bench",
               "#!/bin/sh\n'" + (from / "llama-bench").string() + "' \"$@\" | sed \"s/ [0-9]* MiB free/ $(cat '" +
                   folder + "/FREE') MiB free/\"\n",
               true);
    return folder;
  }
  static void SetFree(const std::string& folder, int mib) { std::ofstream(folder + "/FREE") << mib; }
};

TEST_F(Devices, TheEstimateSaysWhatIsOnDeviceInMemoryAndOnDisk) {
  ASSERT_TRUE(StartServer());
  const Json none = Estimate("&flash_mode=on");
  EXPECT_TRUE(none["devices"].empty());
  EXPECT_EQ(none["vram"]["mode"], "auto");
  EXPECT_GT(Bytes(none["vram"]["free_bytes"]), kGiB) << "a page may offer it";
  EXPECT_TRUE(Has(none["devices_decision"], "uses the machine's memory")) << none["devices_decision"];
  uint64_t before = 0;
  for (const double more : {1.0, 4.0, 7.0}) {
    const double gb = LeastAnd(more), limit = gb * kGiB;
    const Json json = Estimate("&flash_mode=on&flash_ram_gb=0.004&vram_gb=" + std::to_string(gb));
    ASSERT_EQ(json["devices"].size(), 1u) << json.dump();
    EXPECT_TRUE(json["fits"].get<bool>()) << json.dump();
    EXPECT_TRUE(json["devices_problem"].is_null());
    EXPECT_EQ(json["vram"]["mode"], "size");
    EXPECT_NEAR(json["vram"]["limit_bytes"].get<double>(), limit, 1024);
    EXPECT_GT(Bytes(json["vram"]["least_bytes"]), 0u);
    EXPECT_LE(Bytes(json["vram"]["least_bytes"]), Bytes(json["vram"]["limit_bytes"]));
    EXPECT_LE(Held(json["devices"][0]), Bytes(json["vram"]["limit_bytes"]));
    const uint64_t there = Bytes(json["memory"]["device_weight_bytes"]), disk = Bytes(json["plan"]["disk_bytes"]);
    const uint64_t kept =
        Bytes(json["vram"]["expert_cache_bytes"]);  // by the engine, of experts that are in memory or on disk, too
    EXPECT_GT(there + kept, 0u);
    EXPECT_GE(there + kept, before);
    EXPECT_EQ(there + disk + Bytes(json["plan"]["resident_bytes"]) + Bytes(json["plan"]["expert_cache_bytes"]) +
                  Bytes(json["model"]["mapped_bytes"]),
              Bytes(json["model"]["weight_bytes"]))
        << json.dump();
    before = there + kept;
  }
}

TEST_F(Devices, WhatCannotBeIsAnAnswerWithRemediesThatWork) {
  ASSERT_TRUE(StartServer());
  const Json little = Estimate("&vram_gb=0.001");
  EXPECT_FALSE(little["fits"].get<bool>());
  EXPECT_EQ(little["verdict"], "too_small");
  EXPECT_TRUE(Has(little["reason"], "vram_gb 1.02 MiB is too little: what comes after the last layer ("))
      << little["reason"];
  EXPECT_EQ(little["devices_problem"], little["reason"]);
  ASSERT_EQ(little["remedies"].size(), 3u) << little["remedies"];
  for (const Json& remedy : little["remedies"]) {
    const Json& value = remedy["vram_gb"];
    const Json better = Estimate("&vram_gb=" + (value.is_string() ? value.get<std::string>() : value.dump()));
    EXPECT_TRUE(better["fits"].get<bool>()) << remedy << better["reason"];
    EXPECT_EQ(better["devices"].empty(), value.is_string())
        << "this device is used by itself only where a size is given";
  }
  const Json much = Estimate("&vram_gb=1000");
  EXPECT_FALSE(much["fits"].get<bool>());
  EXPECT_TRUE(Has(much["reason"], " is more than is free on Vulkan0: ")) << much["reason"];

  ASSERT_EQ(LoadOnto("off").status, 200);
  for (const auto& [value, text] :
       std::map<double, std::string>{{0.001, "is too little"}, {1000, "is more than is free"}}) {
    const Answer answer = LoadOnto(value);
    EXPECT_EQ(answer.status, 400) << answer.text;
    EXPECT_TRUE(Has(answer.Error(), text) && Has(answer.Error(), R"(this would work: {"vram_gb":)")) << answer.Error();
  }
  for (const Json& value : {Json("much"), Json(0), Json(-1), Json(true), Json::array()}) {
    const Answer answer = LoadOnto(value);
    EXPECT_EQ(answer.status, 400) << value;
    EXPECT_TRUE(Has(answer.Error(), "vram_gb is not understood: write a number of GiB above zero, \"auto\" or \"off\""))
        << answer.Error();
  }
  EXPECT_EQ(Model(kMoe)["state"], "loaded") << "what cannot be loaded ends nothing";
}

TEST_F(Devices, ALoadedModelIsInBothAndSaysSo) {
  ASSERT_TRUE(StartServer());
  const double gb = LeastAnd(3);
  const Answer loaded = LoadOnto(gb, {{"flash_mode", "on"}});
  ASSERT_EQ(loaded.status, 200) << loaded.text;
  EXPECT_NEAR(loaded.body["configuration"]["vram_gb"].get<double>(), gb, 1e-5);
  ASSERT_EQ(loaded.body["decision"]["devices"].size(), 1u) << loaded.text;
  const uint64_t there = Bytes(loaded.body["decision"]["devices"][0]["weight_bytes"]);
  EXPECT_GT(there, kMiB);
  EXPECT_TRUE(Has(loaded.body["decision"]["devices_reason"], "Vulkan0 has ")) << loaded.text;
  EXPECT_FALSE(loaded.body["decision"]["on_devices"].get<bool>());
  EXPECT_GE(Bytes(Flash(kMoe)["uploaded_bytes"]) + kMiB, there) << Flash(kMoe);
  const Json machine = Get("/api/v1/models").body["memory"]["devices"];
  ASSERT_EQ(machine.size(), 1u) << machine;
  EXPECT_EQ(machine[0]["name"], "Vulkan0");
  // Another model could have what is left; the driver says that all is free.
  EXPECT_LE(Bytes(machine[0]["free_bytes"]), Bytes(machine[0]["total_bytes"]) - there) << machine;
  EXPECT_EQ(Complete(kMoe).status, 200);
}

TEST_F(Devices, AllLayersThereIsNoReasonToSuspectTheEngine) {
  ASSERT_TRUE(StartServer());
  const Answer loaded = LoadOnto(0.06, {{"flash_mode", "on"}});
  ASSERT_EQ(loaded.status, 200) << loaded.text;
  EXPECT_TRUE(loaded.body["decision"]["on_devices"].get<bool>()) << loaded.text;
  EXPECT_TRUE(Has(loaded.body["decision"]["reason"], "all layers are on devices")) << loaded.text;
  EXPECT_EQ(Complete(kMoe).status, 200);
}

// The engine decides while it loads: nobody knows beforehand that nothing will stream.
TEST_F(Devices, AllLayersThereByTheEnginesOwnChoiceIsNone) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--flash-mode", "on", "--", "-ngl", "99", "--fit", "on"}));
  const Answer loaded = LoadOnto(nullptr);
  ASSERT_EQ(loaded.status, 200) << loaded.text;
  EXPECT_TRUE(loaded.body["decision"]["on_devices"].get<bool>()) << loaded.text;
}

TEST_F(Devices, TheyAreLookedAtAgainForEachLoad) {
  const std::string folder = EngineWithFree();
  SetFree(folder, 2000);
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--engine", folder}));
  ASSERT_EQ(LoadOnto(0.03).status, 200);
  EXPECT_EQ(Get("/api/v1/models").body["memory"]["devices"][0]["free_bytes"], 2000 * kMiB);
  SetFree(folder, 10);  // another program came
  const Answer refused = LoadOnto(0.05, Json::object(), kDense);
  EXPECT_EQ(refused.status, 400) << refused.text;
  EXPECT_TRUE(Has(refused.Error(), "is more than is free on Vulkan0: ")) << refused.Error();
  EXPECT_EQ(Model(kMoe)["state"], "loaded");
  SetFree(folder, 1000);  // and went
  EXPECT_EQ(LoadOnto(0.05, Json::object(), kDense).status, 200);
}

TEST_F(Devices, ASecondModelHasWhatTheFirstLeavesOfTheServers) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--models-max", "2", "--vram", "32M"}));
  ASSERT_EQ(Load({{"model", kMoe}, {"context_length", 512}}).status, 200);
  const uint64_t first = Held(Model(kMoe)["loaded"]["decision"]["devices"][0]);
  EXPECT_GT(first, 16 * kMiB);
  const Json second = Estimate("", kDense);
  EXPECT_TRUE(second["fits"].get<bool>()) << second["reason"];
  EXPECT_TRUE(second["makes_room"].empty()) << "memory is there for it";
  EXPECT_TRUE(second["devices"].empty() || Held(second["devices"][0]) + first <= 32 * kMiB) << second["devices"];
  EXPECT_EQ(Load({{"model", kDense}, {"context_length", 512}}).status, 200);
  EXPECT_EQ(Model(kMoe)["state"], "loaded");
}

class NoDevices : public ServeTest {
 protected:
  void SetUp() override {
    ServeTest::SetUp();
    environment_.erase("GGML_BACKEND_PATH");  // of whoever runs the tests
  }
};

TEST_F(NoDevices, ASizeIsAnErrorAndTheOthersMeanNothing) {
  ASSERT_TRUE(StartServer());
  const Json estimate = Get(std::string("/api/v1/models/estimate?vram_gb=8&model=") + kDense).body;
  EXPECT_FALSE(estimate["fits"].get<bool>());
  EXPECT_TRUE(Has(estimate["reason"], "vram_gb 8.00 GiB: this llama.cpp has no device here")) << estimate["reason"];
  EXPECT_EQ(estimate["remedies"], Json::parse(R"([{"vram_gb": "auto"}])"));
  EXPECT_TRUE(estimate["vram"]["free_bytes"].is_null());
  const Answer refused = Load({{"model", kDense}, {"vram_gb", 8}});
  EXPECT_EQ(refused.status, 400);
  EXPECT_TRUE(Has(refused.Error(), "has no device here") && Has(refused.Error(), R"({"vram_gb":"auto"})"))
      << refused.Error();
  for (const char* value : {"auto", "off"})
    EXPECT_EQ(Load({{"model", kDense}, {"vram_gb", value}}).status, 200) << value;
  EXPECT_TRUE(Get("/api/v1/models").body["memory"]["devices"].empty());
}

}  // namespace
}  // namespace headrace::serve
