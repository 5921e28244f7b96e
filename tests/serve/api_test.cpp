// /api/v1, /v1/models, /metrics and the page.
#include <fstream>
#include <iterator>

#include "serve_test.h"

namespace headrace::serve {
namespace {

class Api : public ServeTest {
 protected:
  std::string ConfigFile() const { return tree_.Path("home/.config/headrace/models.json"); }
  static std::string Content(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(Api, ModelsAndTheirNames) {
  tree_.File("models/broken.gguf", "this is no model");
  std::filesystem::create_symlink(CommandTest::Model(), tree_.Path("models/one.gguf"));
  tree_.File("models/a/b/placeholder");
  std::filesystem::copy_file(CommandTest::Model(), tree_.Path("models/a/b/two.gguf"));
  ASSERT_TRUE(StartServer({"--models-dir", tree_.Path("models")}));
  const Json one = Model("one");
  EXPECT_EQ(one["architecture"], "llama");
  EXPECT_EQ(one["quantization"], "Q4_0");
  EXPECT_EQ(one["parameters"], 20716032);
  EXPECT_EQ(one["context_length"], 2048);
  EXPECT_EQ(one["size_bytes"], 11810592);
  EXPECT_EQ(one["state"], "unloaded");
  EXPECT_EQ(Model("broken")["state"], "invalid");
  EXPECT_TRUE(Has(Model("broken")["error"], "broken.gguf"));
  EXPECT_EQ(Load({{"model", "broken"}}).status, 500);
  const Json list = Get("/v1/models").body;
  EXPECT_EQ(list["object"], "list");
  ASSERT_EQ(list["data"].size(), 2u) << list.dump();
  EXPECT_EQ(list["data"][0]["id"], "a/b/two");
  EXPECT_EQ(Get("/v1/models/a/b/two").body["object"], "model");
  EXPECT_EQ(Get("/v1/models/three").status, 404);
  EXPECT_GT(Get("/api/v1/models").body["memory"]["total_bytes"].get<uint64_t>(), 0u);
  // A file that comes later is found; its name, its file name and its path all mean it.
  std::filesystem::copy_file(CommandTest::Model(), tree_.Path("models/three.gguf"));
  EXPECT_EQ(Complete("two.gguf", 1).status, 200);
  EXPECT_EQ(Model("a/b/two")["state"], "loaded");
  EXPECT_EQ(Complete("three", 1).status, 200);
}

TEST_F(Api, EstimateHasTheNumbersOfPlan) {
  ASSERT_TRUE(StartServer());
  const Json estimate =
      Get(std::string("/api/v1/models/estimate?model=") + kDense + "&flash_mode=on&flash_ram_gb=0.00390625").body;
  EXPECT_TRUE(estimate["fits"].get<bool>()) << estimate.dump();
  EXPECT_EQ(estimate["verdict"], "streams");
  const std::string pool = estimate["sharing"]["pool_tokens"].dump(),
                    batch = estimate["sharing"]["batch_tokens"].dump(), slots = estimate["sharing"]["slots"].dump();
  const cli::Outcome plan = Run({"plan", CommandTest::Model(), "-c", pool, "--flash-mode", "on", "--weights-ram", "4M",
                                 "--json", "--", "-b", batch, "-ub", batch, "-np", slots, "-kvu"});
  const Json expected = Json::parse(plan.out, nullptr, false);
  for (const char* key : {"plan", "streams", "budget_bytes", "smallest_budget_bytes", "model"})
    EXPECT_EQ(estimate[key], expected[key]) << key;
  // What the simulation itself used at its peak varies by a few pages.
  for (const char* key : {"weight_bytes", "weights_budget_bytes", "context_bytes", "compute_bytes"}) {
    EXPECT_EQ(estimate["memory"][key], expected["memory"][key]) << key;
    EXPECT_GT(estimate["memory"][key].get<uint64_t>(), 0u) << key;
  }
  EXPECT_GT(estimate["prediction"]["decode_tokens_per_s"].get<double>(), 0);
  const Json small =
      Get(std::string("/api/v1/models/estimate?model=") + kDense + "&flash_mode=on&flash_ram_gb=0.00001").body;
  EXPECT_FALSE(small["fits"].get<bool>()) << small.dump();
  EXPECT_EQ(small["smallest_budget_bytes"], expected["smallest_budget_bytes"]);
  EXPECT_EQ(small["verdict"], "too_small");
  EXPECT_TRUE(Has(small["reason"], "too little"));
  // The remedy is a configuration that works.
  Json remedy = small["remedies"][0];
  ASSERT_TRUE(remedy.contains("flash_ram_gb")) << small.dump();
  remedy.update({{"model", kDense}, {"flash_mode", "on"}});
  EXPECT_EQ(Load(remedy).status, 200);
  EXPECT_EQ(Get("/api/v1/models/estimate?model=none").status, 404);
  EXPECT_EQ(Get(std::string("/api/v1/models/estimate?model=") + kDense + "&flash_ram_gb=lots").status, 400);
}

TEST_F(Api, ConfigurationIsRememberedAndTakenBack) {
  ASSERT_TRUE(StartServer());
  Answer answer = Load({{"model", kDense}, {"flash_mode", "on"}, {"flash_ram_gb", 0.004}, {"context_length", 512}});
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_TRUE(answer.body["remembered"].get<bool>());
  EXPECT_EQ(answer.body["configuration"]["context_length"], 512);
  EXPECT_EQ(EndServer().status, 0);
  ASSERT_TRUE(StartServer());
  EXPECT_EQ(Model(kDense)["remembered"]["context_length"], 512);
  EXPECT_EQ(Complete(kDense).status, 200);
  EXPECT_EQ(Model(kDense)["loaded"]["configuration"]["context_length"], 512);
  EXPECT_GT(BytesRead(kDense), 0u);
  const auto first = Children();
  EXPECT_EQ(Load({{"model", kDense}}).status, 200);
  EXPECT_EQ(Children(), first) << "loaded like that already";
  // null takes one setting back, "remember": false keeps the file as it is.
  const std::string before = Content(ConfigFile());
  answer = Load({{"model", kDense}, {"context_length", nullptr}, {"remember", false}});
  EXPECT_EQ(answer.body["configuration"]["context_length"], 2048) << answer.text;
  EXPECT_FALSE(answer.body["remembered"].get<bool>());
  EXPECT_EQ(Content(ConfigFile()), before);
  EXPECT_NE(Children(), first);
}

TEST_F(Api, ABrokenConfigurationFileIsReportedAndKept) {
  const std::string broken = "{\"version\": 1, \"models\": {";
  tree_.File("home/.config/headrace/models.json", broken);
  ASSERT_TRUE(StartServer());
  EXPECT_TRUE(Has(Get("/api/v1/models").body["configuration_file"]["error"], "models.json"));
  const Answer answer = Complete(kDense);
  EXPECT_EQ(answer.status, 500) << "it may say that this model must stream";
  EXPECT_TRUE(Has(answer.Error(), "models.json")) << answer.text;
  const Answer loaded = Load({{"model", kDense}, {"flash_mode", "on"}, {"flash_ram_gb", 0.004}});
  EXPECT_EQ(loaded.status, 200) << loaded.text;
  EXPECT_FALSE(loaded.body["remembered"].get<bool>());
  EXPECT_TRUE(Has(loaded.body["remember_error"], "models.json"));
  EXPECT_EQ(Complete(kDense).status, 200);
  EXPECT_EQ(Content(ConfigFile()), broken);
  EXPECT_TRUE(Has(EndServer().err, "models.json")) << "and at the start";
}

TEST_F(Api, LoadTellsItsProgress) {
  ASSERT_TRUE(StartServer());
  HttpClient client(port_);
  client.Send("POST", "/api/v1/models/load", Json{{"model", kDense}, {"flash_mode", "on"}, {"stream", true}}.dump());
  HttpResponse response = client.Read();
  EXPECT_EQ(response.headers["content-type"], "text/event-stream");
  EXPECT_TRUE(client.complete());
  EXPECT_TRUE(response.body.starts_with("event: progress\ndata: {")) << response.body;
  EXPECT_TRUE(Has(response.body, "event: loaded\ndata: {\"configuration\"")) << response.body;
  client.Send("POST", "/api/v1/models/load", Json{{"model", kDense}, {"draft_model", "none"}, {"stream", true}}.dump());
  response = client.Read();
  EXPECT_TRUE(Has(response.body, "event: error\ndata: {\"error\"")) << response.body;
  EXPECT_EQ(Model(kDense)["state"], "loaded") << "what could not be loaded does not end what runs";
}

TEST_F(Api, StatisticsAsEventsAndMetrics) {
  ASSERT_TRUE(StartServer());
  ASSERT_EQ(Load({{"model", kDense}, {"flash_mode", "on"}, {"flash_ram_gb", 0.004}}).status, 200);
  HttpClient client(port_);
  client.Send("GET", "/api/v1/flash/stats?interval_ms=100");
  EXPECT_EQ(client.ReadHead().headers["content-type"], "text/event-stream");
  ASSERT_TRUE(client.ReadUntil("event: stats\ndata: {"));
  ASSERT_EQ(Complete(kDense).status, 200);
  ASSERT_TRUE(client.ReadUntil("\"read_bytes_per_s\"")) << client.body();
  const std::string metrics = Get("/metrics").text;
  EXPECT_TRUE(Has(
      metrics,
      "# TYPE headrace_flash_read_bytes_total counter\nheadrace_flash_read_bytes_total{model=\"austen-dense-q4_0\"} "))
      << metrics;
  EXPECT_TRUE(Has(metrics, "headrace_model_loaded{model=\"austen-dense-q4_0\"} 1\n"));
  EXPECT_EQ(Get("/api/v1/flash/stats?interval_ms=often").status, 400);
}

TEST_F(Api, ThePage) {
  ASSERT_TRUE(StartServer());
  Answer answer = Get("/");
  EXPECT_EQ(answer.headers["content-type"], "text/html; charset=utf-8");
  EXPECT_EQ(answer.text, Content(std::string(HEADRACE_SOURCE_DIR) + "/web/index.html"));
  EXPECT_TRUE(
      Has(answer.headers["content-security-policy"], "default-src 'none'; script-src 'self'; style-src 'self'"));
  EXPECT_EQ(Ask("GET", "/", "", {{"If-None-Match", answer.headers["etag"]}}).status, 304);
  EXPECT_EQ(Get("/../../etc/passwd").status, 404);
  EXPECT_EQ(Get("/%2e%2e/%2e%2e/etc/passwd").status, 404);
  EXPECT_EQ(Get("/favicon.ico").status, 404);
  EXPECT_TRUE(Children().empty()) << "nothing was loaded for that";
}

TEST_F(Api, BadRequests) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--max-body", "100K"}));
  for (const char* path : {"/api/v1/models/load", "/api/v1/models/unload", "/v1/chat/completions"}) {
    EXPECT_EQ(Ask("POST", path, "{\"model\": ").status, 400) << path;
    EXPECT_EQ(Ask("POST", path, "[1, 2]").status, 400) << path;
    EXPECT_EQ(Ask("POST", path, std::string(50'000, '[')).status, 400) << path;
    EXPECT_EQ(Ask("POST", path, Json{{"model", "none"}}.dump()).status, 404) << path;
    EXPECT_EQ(Ask("POST", path, Json{{"model", 7}}.dump()).status, 400) << path;
    for (const char* name : {"../models/austen-dense-q4_0", "/etc/passwd", "../../../../etc/passwd",
                             "a/../austen-dense-q4_0", "..", "."}) {
      EXPECT_EQ(Ask("POST", path, Json{{"model", name}}.dump()).status, 404) << path << " " << name;
    }
    const Answer answer = Ask("POST", path, "{\"model\": \"" + std::string(200'000, 'x') + "\"}");
    EXPECT_EQ(answer.status, 413) << path;
    EXPECT_TRUE(Has(answer.Error(), "--max-body")) << answer.text;
  }
  const std::pair<const char*, Json> wrong[] = {
      {"flash_mode", "maybe"}, {"flash_ram_gb", -1}, {"flash_ram_gb", "4G"}, {"context_length", 0.5},
      {"kv_cache_type", "q9"}, {"slots", 0},         {"colour", "red"},      {"remember", 1}};
  for (const auto& [key, value] : wrong) {
    const Answer answer = Load({{"model", kDense}, {key, value}});
    EXPECT_EQ(answer.status, 400) << answer.text;
    EXPECT_TRUE(Has(answer.Error(), key)) << answer.text;
  }
  EXPECT_EQ(Load({{"model", kDense}, {"draft_model", "../x"}}).status, 404);
  EXPECT_EQ(Get("/api/v1/models/load").status, 405);
  EXPECT_EQ(Get("/api/v1/nothing").status, 404);
  EXPECT_EQ(Get("/v1/models?x=%zz").status, 400);
  // Chunks that add up to too much are refused as well.
  HttpClient client(port_);
  client.SendRaw("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 4 && client.SendRaw("10000\r\n" + std::string(65536, ' ') + "\r\n"); ++i) {
  }
  EXPECT_EQ(client.Read().status, 413);
  HttpClient garbage(port_);
  garbage.SendRaw("this is not HTTP\r\n\r\n");
  EXPECT_EQ(garbage.Read().status, 400);
  EXPECT_TRUE(Children().empty()) << "nothing was loaded for that";
  EXPECT_EQ(Complete(kDense, 1).status, 200) << "and it serves on";
}

}  // namespace
}  // namespace headrace::serve
