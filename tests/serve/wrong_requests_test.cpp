// What is wrong with a request is said, whatever it is, and the server serves on.
#include <cstdio>
#include <filesystem>

#include "serve_test.h"

namespace headrace::serve {
namespace {

class WrongRequests : public ServeTest {
 protected:
  // The first answer to these bytes, after which nothing more is sent.
  HttpResponse Raw(const std::string& bytes) {
    HttpClient client(port_);
    client.SendRaw(bytes);
    client.CloseSending();
    return client.Read();
  }
  static std::string Nested(int depth, const std::string& key) {
    return "{\"" + key + "\":" + std::string(static_cast<size_t>(depth), '[') +
           std::string(static_cast<size_t>(depth), ']') + ",\"max_tokens\":1}";
  }
};

TEST_F(WrongRequests, OfHttp) {
  ASSERT_TRUE(StartServer());
  const std::string host = "Host: localhost\r\n", post = "POST /tokenize HTTP/1.1\r\n" + host;
  const std::pair<std::string, int> wrong[] = {
      {post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n{\"a\":1}", 400},
      {post + "Content-Length: 5, 6\r\n\r\n{\"a\":1}", 400},
      {post + "Content-Length: -1\r\n\r\n{}", 400},
      {post + "Content-Length: 0x2\r\n\r\n{}", 400},
      {post + "Content-Length: 99999999999999999999999\r\n\r\n{}", 400},
      {post + "Content-Length: 18446744073709551615\r\n\r\n{}", 413},
      {post + "Content-Length: 100\r\n\r\n{\"content\":", 400},
      {post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n{}\r\n", 400},
      {post + "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 501},
      {post + "Transfer-Encoding: gzip\r\n\r\n{}", 501},
      {post + "Expect: miracles\r\nContent-Length: 2\r\n\r\n{}", 417},
      {"GET / HTTP/1.1\r\n" + host + "Host: other\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + "X: " + std::string(100'000, 'x') + "\r\n\r\n", 431},
      {"GET /" + std::string(100'000, 'x') + " HTTP/1.1\r\n" + host + "\r\n", 431},
      {"GET / HTTP/1.1\r\n" + host + "no colon\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + "Na me: x\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + std::string("X: a\0b\r\n\r\n", 10), 400},
      {"GET / HTTP/2.0\r\n" + host + "\r\n", 505},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"GET /\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: lo", 400},
      {"GET nothing HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /%00 HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET ftp://localhost/ HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET http://evil.example/v1/models HTTP/1.1\r\n" + host + "\r\n", 403},
      {"\x16\x03\x01\x02\x01\x01\x01\xfc\x03\x03 TLS\r\n\r\n", 400},
      {"\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400}};
  for (const auto& [bytes, status] : wrong) {
    const HttpResponse answer = Raw(bytes);
    EXPECT_EQ(answer.status, status) << bytes.substr(0, 200) << answer.body;
    EXPECT_TRUE(Json::parse(answer.body, nullptr, false).contains("error")) << bytes.substr(0, 200) << answer.body;
  }
  std::string bomb = "GET / HTTP/1.1\r\n" + host;
  for (int i = 0; i < 20'000; ++i) bomb += "X" + std::to_string(i) + ": y\r\n";
  EXPECT_EQ(Raw(bomb + "\r\n").status, 431);
  EXPECT_TRUE(Children().empty());
  EXPECT_EQ(Get("/health").status, 200);
}

TEST_F(WrongRequests, WhatIsUnusualIsNotWrong) {
  ASSERT_TRUE(StartServer());
  const std::string host = "Host: localhost\r\n";
  EXPECT_EQ(Raw("GET http://127.0.0.1:1/health HTTP/1.1\r\n" + host + "\r\n").status, 200) << "a whole address";
  EXPECT_EQ(Raw("GET http://localhost HTTP/1.1\r\n" + host + "\r\n").status, 200);
  EXPECT_EQ(Raw("GET /health HTTP/1.1\r\n" + host +
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
                .status,
            200);
  EXPECT_EQ(
      Raw("GET /health HTTP/1.1\r\n" + host +
          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n\r\n")
          .status,
      200);
  const HttpResponse old = Raw("GET /health HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.status, 200);
  EXPECT_EQ(old.headers.at("transfer-encoding"), "") << "it knows no chunks";
  const std::string body = Json{{"model", kDense}, {"prompt", "It is"}, {"max_tokens", 3}, {"stream", true}}.dump(),
                    length = std::to_string(body.size());
  const HttpResponse stream = Raw("POST /v1/completions HTTP/1.0\r\nContent-Length: " + length + "\r\n\r\n" + body);
  EXPECT_EQ(stream.status, 200) << "its end is the end of the connection";
  EXPECT_EQ(stream.headers.at("transfer-encoding"), "");
  EXPECT_TRUE(Has(stream.body, "[DONE]"));
  // In chunks, with an extension and a trailer.
  HttpClient chunks(port_);
  chunks.SendRaw("POST /v1/completions HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1;x=y\r\n{\r\n");
  char size[16];
  std::snprintf(size, sizeof size, "%zx", body.size() - 1);
  chunks.SendRaw(size + ("\r\n" + body.substr(1)) + "\r\n0\r\nX: y\r\n\r\n");
  EXPECT_TRUE(Has(chunks.Read().body, "[DONE]"));
  // Several requests at once are answered in their order.
  HttpClient pipeline(port_);
  pipeline.SendRaw("GET /health HTTP/1.1\r\n" + host + "\r\nPOST /v1/completions HTTP/1.1\r\n" + host +
                   "Content-Length: " + length + "\r\n\r\n" + body + "GET /nothing HTTP/1.1\r\n" + host +
                   "\r\nHEAD /health HTTP/1.1\r\n" + host + "\r\n");
  EXPECT_EQ(pipeline.Read().body, "{\"status\":\"ok\"}\n");
  EXPECT_TRUE(Has(pipeline.Read().body, "[DONE]"));
  EXPECT_EQ(pipeline.Read().status, 404);
  EXPECT_EQ(pipeline.ReadHead().status, 200);
  HttpClient expects(port_);
  expects.SendRaw("POST /v1/completions HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: " + length +
                  "\r\n\r\n");
  EXPECT_EQ(expects.ReadHead().status, 100);
  expects.SendRaw(body);
  EXPECT_TRUE(Has(expects.Read().body, "[DONE]"));
  HttpClient refused(port_);
  refused.SendRaw("POST /v1/completions HTTP/1.1\r\n" + host +
                  "Expect: 100-continue\r\nContent-Length: 99000000\r\n\r\n");
  EXPECT_EQ(refused.ReadHead().status, 413) << "before the body is sent";
}

TEST_F(WrongRequests, JsonThatIsNestedDeep) {
  ASSERT_TRUE(StartServer());
  ASSERT_EQ(Complete(kDense, 1).status, 200);
  const auto children = Children();
  for (const int depth : {1000, 150'000, 1'000'000}) {
    for (const char* path : {"/v1/completions", "/v1/chat/completions", "/v1/completions?model=austen-dense-q4_0",
                             "/tokenize", "/slots/0", "/nothing", "/api/v1/models/load", "/api/v1/models/unload"}) {
      for (const char* key : {"prompt", "messages", "model"})
        EXPECT_EQ(Ask("POST", path, Nested(depth, key)).status, 400) << path << key << depth;
    }
    for (const char* type : {"multipart/form-data; boundary=x", "image/png", "text/plain", ""}) {
      EXPECT_EQ(Ask("POST", "/v1/completions", Nested(depth, "prompt"), {{"Content-Type", type}}).status, 400) << type;
      EXPECT_EQ(
          Ask("POST", "/v1/completions", "\xef\xbb\xbf" + Nested(depth, "prompt"), {{"Content-Type", type}}).status,
          400)
          << type;
    }
  }
  EXPECT_EQ(Get("/api/v1/models/estimate?model=austen-dense-q4_0&flash_ram_gb=" + std::string(50'000, '[')).status,
            400);
  EXPECT_GE(Ask("POST", "/v1/completions", Nested(100, "prompt")).status, 400) << "the engine's own answer";
  EXPECT_EQ(Complete(kDense, 1).status, 200);
  EXPECT_EQ(Children(), children);
}

TEST_F(WrongRequests, OtherJsonThatIsNone) {
  ASSERT_TRUE(StartServer());
  for (const char* body : {R"({"model": "a", "model": "b"})", R"({"prompt": "\ud800"})", "{\"prompt\": \"\xff\"}",
                           R"({"max_tokens": 1e999})", R"({"max_tokens": 1} {})", "\"text\"", "7", "null",
                           R"({"model": {}})", "{\"\xc3\": 1}"}) {
    for (const char* path :
         {"/v1/completions", "/v1/chat/completions", "/api/v1/models/load", "/api/v1/models/unload"}) {
      const Answer answer = Ask("POST", path, body);
      EXPECT_EQ(answer.status, 400) << path << body << answer.text;
      EXPECT_FALSE(answer.Error().empty()) << path << body << answer.text;
    }
  }
  EXPECT_EQ(Ask("POST", "/v1/completions", std::string("{}\0{", 4)).status, 400);
  for (const char* value : {"123456789012345678901234567890", "-1", "18446744073709551615", "1e300"}) {
    for (const char* key : {"context_length", "slots", "ram_gb", "draft_tokens"}) {
      EXPECT_EQ(Ask("POST", "/api/v1/models/load",
                    std::string("{\"model\": \"") + kDense + "\", \"" + key + "\": " + value + "}")
                    .status,
                400)
          << key << value;
    }
  }
  EXPECT_EQ(Get("/api/v1/models/estimate?model=austen-dense-q4_0&prompt_tokens=18446744073709551615").status, 200);
  EXPECT_TRUE(Children().empty());
  // Numbers beyond all measure are the engine's to judge.
  const std::string begin = std::string("{\"model\": \"") + kDense + "\", \"prompt\": \"It\", \"max_tokens\": ";
  EXPECT_NE(Ask("POST", "/v1/completions", begin + "2, \"n\": 123456789012345678901234567890}").status, 0);
  EXPECT_EQ(Complete(kDense, 1).status, 200);
}

TEST_F(WrongRequests, OnlyWorkLoadsAModel) {
  tree_.File("models/placeholder");
  std::filesystem::create_symlink(CommandTest::Model(), tree_.Path("models/only.gguf"));
  ASSERT_TRUE(StartServer({"--models-dir", tree_.Path("models")}));
  const std::string body = R"({"model": "only", "prompt": "It", "max_tokens": 1})";
  for (const char* method : {"OPTIONS", "DELETE", "PUT", "PATCH", "TRACE", "MADE-UP"}) {
    for (const char* path : {"/v1/chat/completions", "/v1/models/only", "/nothing", "/"}) {
      const Answer answer = Ask(method, path, body, {{"Content-Length", std::to_string(body.size())}});
      EXPECT_EQ(answer.status, 405) << method << path << answer.text;
      EXPECT_TRUE(answer.headers.contains("allow")) << method << path;
    }
  }
  EXPECT_EQ(Ask("OPTIONS", "*").status, 400);
  for (const char* path :
       {"/nothing", "/v1/chat/completions/", "/v1/chat", "//v1/completions", "/models/load", "/api/nothing"}) {
    for (const std::string& text : {body, std::string("{}")})
      EXPECT_EQ(Ask("POST", path, text).status, 404) << path << text;
    EXPECT_EQ(Get(std::string(path) + "?model=only").status, 404) << path;
  }
  for (const char* path : {"/", "/health", "/v1/models", "/v1/models/only", "/metrics"})
    EXPECT_EQ(Ask("POST", path, body).status, 405) << path;
  for (const char* path : {"/v1/chat/completions", "/completion", "/tokenize"}) {
    EXPECT_EQ(Get(std::string(path) + "?model=only").status, 405) << path;
    EXPECT_EQ(Ask("HEAD", std::string(path) + "?model=only").status, 405) << path;
  }
  for (const char* path : {"/props", "/slots", "/metrics", "/lora-adapters"})
    EXPECT_EQ(Ask("HEAD", std::string(path) + "?model=only").status, 404) << path;
  for (const char* path : {"/slots?model=only", "/metrics?model=only", "/props"})
    EXPECT_EQ(Get(path).status, 404) << path;
  EXPECT_EQ(Ask("POST", "/slots/0?action=erase&model=only", "{}").status, 404);
  EXPECT_EQ(Model("only")["state"], "unloaded");
  EXPECT_TRUE(Children().empty());
  // A loaded model is asked.
  EXPECT_EQ(Get("/props?model=only").status, 200) << "this is loaded for";
  EXPECT_EQ(Get("/slots").status, 200);
  EXPECT_EQ(Ask("HEAD", "/props").status, 200);
  EXPECT_EQ(Ask("POST", "/nothing", body).status, 404);
  EXPECT_EQ(Ask("OPTIONS", "/v1/chat/completions").status, 405);
  EXPECT_EQ(Ask("HEAD", "/api/v1/flash/stats").status, 200) << "and ends";
}

}  // namespace
}  // namespace headrace::serve
