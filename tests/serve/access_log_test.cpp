// The log of requests, and what SIGHUP reads again.
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "serve_test.h"

namespace headrace::serve {
namespace {

class AccessLogTest : public ServeTest {
 protected:
  static std::vector<Json> Lines(const std::string& path) {
    std::vector<Json> lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line, nullptr, false));
    return lines;
  }
  // The last line with this path; waits for it.
  static Json LineOf(const std::string& file, const std::string& target) {
    Json found;
    Eventually([&] {
      for (const Json& line : Lines(file)) {
        if (line.is_object() && line["path"] == target) found = line;
      }
      return !found.is_null();
    });
    return found;
  }
  int StatusWithKey(const std::string& key) {
    return Ask("GET", "/v1/models", "", {{"Authorization", "Bearer " + key}}).status;
  }
  const std::string log_ = tree_.Path("access.log");
};

TEST_F(AccessLogTest, SaysWhatEachRequestWas) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--access-log", log_, "--log-format", "json"}));
  ASSERT_EQ(Complete(kDense, 4).status, 200);
  EXPECT_EQ(Get("/nothing?api_key=hidden").status, 404);
  for (const std::string path : {"/%ff\"", "/\xff\xfe", "no path"}) Ask("GET", path);
  HttpClient leaves(port_);
  ASSERT_TRUE(leaves.Send(
      "POST", "/completion",
      Json{{"model", kDense}, {"prompt", "It"}, {"n_predict", 1500}, {"stream", true}, {"ignore_eos", true}}.dump()));
  ASSERT_EQ(leaves.ReadHead().status, 200);
  ASSERT_TRUE(leaves.ReadUntil("content"));
  leaves.Close();
  const Json completed =
      LineOf(log_, "/v1/completions").is_null() ? LineOf(log_, "/completion") : LineOf(log_, "/v1/completions");
  EXPECT_EQ(completed["status"], 200) << completed;
  EXPECT_EQ(completed["method"], "POST");
  EXPECT_EQ(completed["remote"], "127.0.0.1");
  EXPECT_EQ(completed["model"], kDense);
  EXPECT_EQ(completed["tokens_out"], 4) << completed;
  EXPECT_GT(completed["tokens_in"], 0);
  EXPECT_GT(completed["bytes"], 0);
  EXPECT_EQ(completed["client_left"], false);
  EXPECT_EQ(LineOf(log_, "/nothing?api_key=***")["status"], 404);
  EXPECT_TRUE(Eventually([&] {
    const auto lines = Lines(log_);
    return std::any_of(lines.begin(), lines.end(), [](const Json& line) { return line.value("client_left", false); });
  }));
  EXPECT_EQ(EndServer().status, 0);
  for (const Json& line : Lines(log_)) EXPECT_TRUE(line.is_object()) << line;
}

TEST_F(AccessLogTest, SurvivesAFullDiskAndAClosedPipe) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--access-log", "/dev/full"}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Get("/health").status, 200);
  const auto outcome = EndServer();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "lines are lost")) << outcome.err;
}

TEST_F(AccessLogTest, WrongOptions) {
  const auto outcome = Run({"serve", "--models-dir", Models(), "--access-log", tree_.Path("none/log"), "--port", "0"});
  EXPECT_NE(outcome.status, 0);
  EXPECT_TRUE(Has(outcome.err, "--access-log: cannot write to")) << outcome.err;
  EXPECT_TRUE(Has(Run({"serve", "--models-dir", Models(), "--log-format", "json"}).err, "--log-format needs"));
}

TEST_F(AccessLogTest, HangupOpensTheLogAgainAndReadsTheKeys) {
  const std::string keys = tree_.File("keys", "# of the team\n\nfirst\n");
  ASSERT_EQ(chmod(keys.c_str(), 0600), 0);
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--api-key-file", keys, "--api-key", "fixed", "--access-log", log_,
                           "--log-format", "json"}));
  EXPECT_EQ(StatusWithKey("first"), 200);
  EXPECT_EQ(StatusWithKey("# of the team"), 401);
  std::filesystem::rename(log_, log_ + ".1");
  std::ofstream(keys) << "second\n";
  server_->SignalCommand(SIGHUP);
  EXPECT_TRUE(Eventually([&] { return StatusWithKey("second") == 200; }));
  EXPECT_EQ(StatusWithKey("first"), 401);
  EXPECT_EQ(StatusWithKey("fixed"), 200);
  EXPECT_FALSE(LineOf(log_, "/v1/models").is_null()) << "the new file";
  std::ofstream(keys) << "# nothing\n";
  std::filesystem::rename(log_, log_ + ".2");
  server_->SignalCommand(SIGHUP);
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(log_); }));
  EXPECT_EQ(StatusWithKey("second"), 200);
  const auto outcome = EndServer();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Has(outcome.err, "the keys from before stay")) << outcome.err;
  // Standard error is no terminal here.
  EXPECT_TRUE(Has(outcome.err, "Z headrace: SIGHUP: the access log is opened again")) << outcome.err;
}

// What is refused before anybody looks for who answers it.
TEST_F(AccessLogTest, RefusalsHaveTheShapeOfTheirApi) {
  ASSERT_TRUE(StartServer({"--models-dir", Models(), "--api-key", "k", "--max-body", "1000"}));
  const HttpHeaders key = {{"Authorization", "Bearer k"}};
  const std::string large(2000, 'x');
  for (const auto& [answer, status] : {std::pair{Post("/api/chat", {}), 401},
                                       {Ask("POST", "/api/chat", large, key), 413},
                                       {Ask("POST", "/api/nothing", "{}", key), 404},
                                       {Ask("PUT", "/api/nothing", "{}", key), 405}}) {
    EXPECT_EQ(answer.status, status) << answer.text;
    EXPECT_TRUE(answer.body["error"].is_string()) << answer.text;
  }
  EXPECT_EQ(Post("/v1/messages", {}).body["type"], "error");
  for (const char* path : {"/api/v1/models", "/api/v0/models", "/v1/models"})
    EXPECT_TRUE(Get(path).body["error"].is_object()) << path;
}

}  // namespace
}  // namespace headrace::serve
