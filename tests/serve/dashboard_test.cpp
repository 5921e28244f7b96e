// A real Prometheus reads /metrics, and answers every query of docs/grafana-dashboard.json.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

#include "serve_test.h"

namespace headrace::serve {
namespace {

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    char hex[4];
    std::snprintf(hex, sizeof hex, "%%%02X", static_cast<unsigned char>(c));
    escaped += hex;
  }
  return escaped;
}

class Dashboard : public ServeTest {
 protected:
  void SetUp() override {
    ServeTest::SetUp();
    if (access("/usr/bin/prometheus", X_OK) != 0) GTEST_SKIP() << "needs Prometheus (apt-get install prometheus)";
  }
  void TearDown() override {
    if (prometheus_ > 0) {
      kill(prometheus_, SIGTERM);
      waitpid(prometheus_, nullptr, 0);
    }
    ServeTest::TearDown();
  }
  void StartPrometheus() {
    const std::string file = tree_.File("prometheus.yml",
                                        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
                                        "scrape_configs:\n- job_name: headrace\n  static_configs: "
                                        "[{targets: ['127.0.0.1:" +
                                            std::to_string(port_) + "']}]\n");
    prometheus_port_ = FreePort();
    const std::string log = tree_.Path("prometheus.log"), config = "--config.file=" + file,
                      data = "--storage.tsdb.path=" + tree_.Path("data"),
                      listen = "--web.listen-address=127.0.0.1:" + std::to_string(prometheus_port_);
    prometheus_ = fork();
    ASSERT_GE(prometheus_, 0);
    if (prometheus_ > 0) return;
    if (std::freopen(log.c_str(), "w", stderr) != nullptr)
      execl("/usr/bin/prometheus", "prometheus", config.c_str(), data.c_str(), listen.c_str(), nullptr);
    _exit(127);
  }
  Json Query(const std::string& expression) const {
    HttpClient client(prometheus_port_);
    if (!client.connected() || !client.Send("GET", "/api/v1/query?query=" + Escaped(expression))) return Json();
    return Json::parse(client.Read().body, nullptr, false);
  }
  // What a panel would show; null for an error.
  Json Result(const std::string& expression) const {
    const Json answer = Query(expression);
    return answer.is_object() && answer.value("status", "") == "success" ? answer["data"]["result"] : Json();
  }

  pid_t prometheus_ = -1;
  uint16_t prometheus_port_ = 0;
};

TEST_F(Dashboard, EveryPanelHasData) {
  ASSERT_TRUE(StartServer());
  const auto compute = [&] {
    EXPECT_EQ(Complete(kMoe, 8).status, 200);
    EXPECT_EQ(Get("/v1/models").status, 200);
  };
  ASSERT_EQ(Load({{"model", kMoe}, {"flash_mode", "on"}, {"flash_ram_gb", 0.008}}).status, 200);
  compute();
  StartPrometheus();
  ASSERT_TRUE(Eventually([&] { return !Result("headrace_flash_passes_total").empty(); }));
  // A rate needs what changes between two readings.
  for (int i = 0; i < 3; ++i) compute();
  ASSERT_TRUE(Eventually([&] {
    const Json changed = Result("rate(headrace_answer_tokens_total[5m]) > 0");
    return changed.is_array() && !changed.empty();
  }));
  std::ifstream file(std::string(HEADRACE_SOURCE_DIR) + "/docs/grafana-dashboard.json");
  const Json dashboard = Json::parse(file);
  ASSERT_GT(dashboard["panels"].size(), 10u);
  for (const Json& panel : dashboard["panels"]) {
    for (const Json& target : panel["targets"]) {
      const Json result = Result(target["expr"]);
      EXPECT_TRUE(result.is_array() && !result.empty()) << panel["title"] << Query(target["expr"]);
    }
  }
}

TEST_F(Dashboard, PromtoolFindsNoFault) {
  ASSERT_TRUE(StartServer());
  ASSERT_EQ(Load({{"model", kMoe}, {"flash_mode", "on"}, {"flash_ram_gb", 0.008}}).status, 200);
  ASSERT_EQ(Complete(kMoe, 8).status, 200);
  const std::string metrics = tree_.File("metrics", Get("/metrics").text), said = tree_.Path("said");
  EXPECT_EQ(std::system(("promtool check metrics <" + metrics + " >" + said + " 2>&1").c_str()), 0)
      << std::ifstream(said).rdbuf() << std::ifstream(metrics).rdbuf();
}

}  // namespace
}  // namespace headrace::serve
