// A model with tensors of types that this headrace does not know, as a newer llama.cpp may have them: every command
// works with it, and says which sizes are not exactly known.
#include <cstring>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "command_runner.h"
#include "http_client.h"

namespace headrace::cli {
namespace {

constexpr uint32_t kNewerType = 43;
constexpr const char* kSaid = "2 of 57 tensors have types that this headrace does not know (type 43)";

// Gives a tensor another type: behind its name are the number of dimensions, the dimensions and the type.
bool SetType(std::string& model, const std::string& tensor, uint32_t type) {
  const uint64_t length = tensor.size();
  const size_t at = model.find(std::string(reinterpret_cast<const char*>(&length), sizeof length) + tensor);
  if (at == std::string::npos) return false;
  const size_t dimensions_at = at + sizeof length + tensor.size();
  uint32_t dimensions = 0;
  std::memcpy(&dimensions, model.data() + dimensions_at, sizeof dimensions);
  std::memcpy(model.data() + dimensions_at + sizeof dimensions + dimensions * sizeof(uint64_t), &type, sizeof type);
  return true;
}

class NewerTypes : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    if (Run({"engine"}).status != 0) GTEST_SKIP() << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
    std::ifstream file(Model(), std::ios::binary);
    std::string bytes(std::istreambuf_iterator<char>(file), {});
    ASSERT_TRUE(SetType(bytes, "blk.0.ffn_norm.weight", kNewerType) &&
                SetType(bytes, "blk.1.ffn_up.weight", kNewerType));
    newer_ = tree_.File("newer.gguf", bytes);
  }
  // An engine that knows the types: what it opens is the model as it was.
  void UseNewerEngine() {
    namespace fs = std::filesystem;
    for (const char* name : {"llama-cli", "llama-completion", "llama-server", "llama-fit-params"}) {
      const fs::path program = fs::path(HEADRACE_ENGINE_PREFIX) / "usr/bin" / name;
      if (!fs::exists(program)) continue;
      tree_.File(std::string("engine/bin/") + name,
                 "#!/bin/sh\nfor word; do shift; [ \"$word\" = '" + newer_ + "' ] && word='" + Model() +
                     "'; set -- \"$@\" \"$word\"; done\nexec '" + program.string() + "' \"$@\"\n",
                 true);
    }
    environment_["HEADRACE_ENGINE"] = tree_.Path("engine");
  }

  std::string newer_;
};

TEST_F(NewerTypes, AnEngineThatDoesNotKnowThemEither) {
  const Outcome plan = Run({"plan", newer_, "--weights-ram", "6M"});
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_TRUE(Has(plan.out, kSaid) && Has(plan.out, "weights stream, ")) << plan.out;
  EXPECT_TRUE(Has(plan.err, "cannot predict")) << plan.err;
  const Outcome run = Run({"run", newer_, "-p", "It is", "-n", "2", "--weights-ram", "6M"});
  EXPECT_NE(run.status, 0) << "the engine's own error";
  EXPECT_EQ(run.out, "");
}

TEST_F(NewerTypes, PlanRunAndExec) {
  UseNewerEngine();
  const Outcome plan = Run({"plan", newer_, "--ram", "37M", "-c", "256"});
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_TRUE(Has(plan.out, kSaid) && Has(plan.out, "weights stream, ") && Has(plan.out, "KV cache")) << plan.out;
  const Outcome json = Run({"plan", newer_, "--ram", "37M", "-c", "256", "--json"}),
                known = Run({"plan", Model(), "--ram", "37M", "-c", "256", "--json"});
  ASSERT_TRUE(json.status == 0 && known.status == 0) << json.err << known.err;
  const auto model = nlohmann::json::parse(json.out)["model"], other = nlohmann::json::parse(known.out)["model"];
  EXPECT_EQ(model["unknown_types"], nlohmann::json({"type 43"}));
  EXPECT_GE(model["weight_bytes"].get<uint64_t>(), other["weight_bytes"].get<uint64_t>());
  EXPECT_LT(model["weight_bytes"].get<uint64_t>(), other["weight_bytes"].get<uint64_t>() + 2 * 32) << "padding";

  const std::vector<std::string> words = {"-p", "It is", "-n", "8", "--temp", "0", "--ram", "37M", "-c", "256"};
  std::vector<std::string> run = {"run", newer_}, stock = {"run", Model()};
  run.insert(run.end(), words.begin(), words.end());
  stock.insert(stock.end(), words.begin(), words.end());
  const Outcome answer = Run(run);
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_TRUE(Has(answer.err, kSaid) && Has(answer.err, "weights stream, ")) << answer.err;
  EXPECT_TRUE(SameText(answer.out, Run(stock).out));

  const Outcome exec = Run({"exec", "--stats", "--ram", "36M", "--", "llama-completion", "-m", newer_, "-p", "It is",
                            "-n", "2", "-no-cnv", "-c", "256"});
  EXPECT_EQ(exec.status, 0) << exec.err;
  EXPECT_TRUE(Has(exec.err, kSaid) && Has(exec.err, "KV cache 1.00 MiB") && Has(exec.err, "streamed per pass"))
      << exec.err;
}

TEST_F(NewerTypes, BatchAndServe) {
  UseNewerEngine();
  const std::string requests = tree_.File(
      "q.jsonl", R"({"custom_id":"r","method":"POST","url":"/v1/completions","body":{"prompt":"It is","max_tokens":4}})"
                 "\n");
  const Outcome batch = Run({"batch", newer_, requests, "-o", tree_.Path("o.jsonl"), "--ram", "60M"});
  EXPECT_EQ(batch.status, 0) << batch.err;
  EXPECT_TRUE(Has(batch.err, kSaid)) << batch.err;

  const auto port = static_cast<uint16_t>(20'000 + getpid() % 12'000);
  RunningCommand server = Start({"serve", newer_, "--port", std::to_string(port), "--ram", "60M"});
  const auto ask = [&](const std::string& method, const std::string& target, const std::string& body) {
    serve::HttpClient client(port);
    if (!client.connected()) return serve::HttpResponse{};
    client.Send(method, target, body);
    return client.Read();
  };
  ASSERT_TRUE(Eventually([&] { return ask("GET", "/health", "").status == 200; })) << server.Finish().err;
  EXPECT_EQ(ask("POST", "/v1/completions", R"({"prompt": "It is", "max_tokens": 2})").status, 200);
  server.SignalCommand(SIGTERM);
  const Outcome served = server.Finish();
  EXPECT_TRUE(Has(served.err, kSaid)) << served.err;
}

}  // namespace
}  // namespace headrace::cli
