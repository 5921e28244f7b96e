// Each model is judged with what the others were granted; its process is told its limits.
#include <fstream>
#include <sstream>

#include "base/size.h"
#include "serve_test.h"

namespace headrace::serve {
namespace {

class Memory : public ServeTest {
 protected:
  Json Estimate(const std::string& model, const std::string& more = "") {
    return Get("/api/v1/models/estimate?model=" + model + more).body;
  }
  uint64_t Granted() { return Get("/api/v1/models").body["memory"]["granted_bytes"].get<uint64_t>(); }

  static std::map<std::string, std::string> Environment(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/environ", std::ios::binary);
    std::map<std::string, std::string> variables;
    for (std::string entry; std::getline(file, entry, '\0');)
      variables[entry.substr(0, entry.find('='))] = entry.substr(entry.find('=') + 1);
    return variables;
  }
};

TEST_F(Memory, ASecondModelHasWhatTheFirstLeaves) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--models-max", "2", "--ram", "300M"}));
  EXPECT_EQ(Estimate(kMoe)["memory"]["limit_bytes"], 300 * kMiB);
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  const uint64_t granted = Granted();
  EXPECT_EQ(granted, Model(kDense)["loaded"]["decision"]["memory"]["peak_bytes"].get<uint64_t>());
  const Json second = Estimate(kMoe);
  EXPECT_EQ(second["memory"]["limit_bytes"], 300 * kMiB - granted) << second.dump();
  EXPECT_EQ(second["verdict"], "fits");
  EXPECT_TRUE(second["makes_room"].empty());
  // Loaded anew it could have its own memory again.
  EXPECT_EQ(Estimate(kDense)["memory"]["limit_bytes"], 300 * kMiB);
  ASSERT_EQ(Complete(kMoe, 1).status, 200);
  EXPECT_EQ(Children().size(), 2u);
  EXPECT_GT(Granted(), granted);
}

TEST_F(Memory, TooLittleForTwoMakesRoom) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--models-max", "2", "--ram", "90M"}));
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  const Json second = Estimate(kMoe);
  EXPECT_EQ(second["makes_room"], Json::array({kDense})) << second.dump();
  EXPECT_TRUE(second["fits"].get<bool>());
  // Neither does memory of its own let it have what the first holds.
  EXPECT_EQ(Estimate(kMoe, "&ram_gb=0.08")["makes_room"], Json::array({kDense}));
  ASSERT_EQ(Complete(kMoe, 1).status, 200);
  EXPECT_EQ(Model(kDense)["state"], "unloaded");
  // What can never be loaded ends nothing.
  const Answer impossible = Load({{"model", kDense}, {"ram_gb", 0.01}});
  EXPECT_EQ(impossible.status, 400);
  EXPECT_TRUE(Has(impossible.Error(), "ram_gb") && Has(impossible.Error(), "this would work")) << impossible.Error();
  EXPECT_EQ(Model(kMoe)["state"], "loaded");
}

TEST_F(Memory, TheProcessIsToldItsLimits) {
  ASSERT_TRUE(StartServer());
  const Json least = Estimate(kDense, "&flash_mode=on")["memory"]["least_bytes"];
  const double ram_gb = static_cast<double>(least.get<uint64_t>() + kMiB) / static_cast<double>(kGiB);
  const Answer loaded = Load({{"model", kDense}, {"flash_mode", "auto"}, {"ram_gb", ram_gb}});
  ASSERT_EQ(loaded.status, 200) << loaded.text;
  const Json& memory = loaded.body["decision"]["memory"];
  EXPECT_TRUE(loaded.body["decision"]["streams"].get<bool>()) << loaded.text;
  const auto children = Children();
  ASSERT_EQ(children.size(), 1u);
  auto variables = Environment(children.front());
  EXPECT_EQ(variables["HEADRACE_RAM"], std::to_string(memory["limit_bytes"].get<uint64_t>()));
  EXPECT_EQ(variables["HEADRACE_REST"],
            std::to_string(memory["peak_bytes"].get<uint64_t>() - memory["weights_budget_bytes"].get<uint64_t>()));
  EXPECT_EQ(variables["HEADRACE_FLASH_MODE"], "on");
}

TEST_F(Memory, ADraftModelCounts) {
  ASSERT_TRUE(StartServer());
  const Json alone = Estimate(kDense), with = Estimate(kDense, std::string("&draft_model=") + kDraft);
  for (const char* key : {"weight_bytes", "context_bytes", "compute_bytes"}) {
    EXPECT_GT(with["memory"][key].get<uint64_t>(), alone["memory"][key].get<uint64_t>()) << key;
  }
}

}  // namespace
}  // namespace headrace::serve
