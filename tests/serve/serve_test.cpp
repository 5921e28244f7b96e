#include "serve_test.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

namespace headrace::serve {

void ServeTest::SetUp() {
  CommandTest::SetUp();
  // Threads that spin while they wait for each other make busy machines slow.
  environment_["OMP_WAIT_POLICY"] = "passive";
  ASSERT_TRUE(std::filesystem::exists(std::string(HEADRACE_ENGINE_PREFIX) + "/usr/bin/llama-server") ||
              Run({"engine"}).status == 0)
      << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
}

bool ServeTest::StartServer(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"serve", "--port", "0"});
  if (group_.empty()) {
    server_.reset(new cli::RunningCommand(Start(arguments)));
  } else {
    environment_["GROUP"] = group_;
    arguments.insert(arguments.begin(), {"/bin/sh", "-c", "echo $$ > \"$GROUP\" && exec \"$HEADRACE\" \"$@\"", "sh"});
    server_.reset(new cli::RunningCommand(arguments, environment_));
  }
  return WaitForServer();
}

bool ServeTest::StartServerThrough(const std::string& script, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"/bin/sh", "-c", script, "sh", "serve", "--port", "0"});
  server_.reset(new cli::RunningCommand(arguments, environment_));
  return WaitForServer();
}

bool ServeTest::WaitForServer() {
  if (!server_->WaitForOutput("listening on http://") || !server_->WaitForOutput("\n")) {
    const auto outcome = server_->Finish();
    ADD_FAILURE() << "the server ended with status " << outcome.status << ": " << outcome.err;
    return false;
  }
  const std::string& text = server_->output();
  port_ = static_cast<uint16_t>(std::atoi(text.c_str() + text.rfind(':') + 1));
  return true;
}

cli::Outcome ServeTest::EndServer() {
  server_->SignalCommand(SIGTERM);
  return server_->Finish();
}

Answer ServeTest::Ask(const std::string& method, const std::string& target, const std::string& body,
                      const HttpHeaders& headers) {
  HttpClient client(port_);
  client.Send(method, target, body, headers);
  const HttpResponse response = client.Read();
  return {response.status, Json::parse(response.body, nullptr, false), response.body, response.headers};
}

Answer ServeTest::Complete(const std::string& model, int tokens) {
  return Post("/v1/completions",
              {{"model", model}, {"prompt", "It is a truth"}, {"max_tokens", tokens}, {"temperature", 0}});
}

Json ServeTest::Model(const std::string& id) {
  const Answer answer = Get("/api/v1/models");
  for (const Json& model : answer.body.value("models", Json::array())) {
    if (model["id"] == id) return model;
  }
  ADD_FAILURE() << "no model " << id << " in " << answer.text;
  return {{"state", "missing"}};
}

Json ServeTest::Flash(const std::string& id) {
  for (const Json& model : Get("/api/v1/flash/stats?once=1").body.value("models", Json::array())) {
    if (model["id"] == id) return model["flash"];
  }
  return nullptr;
}

uint64_t ServeTest::BytesRead(const std::string& id) {
  const Json flash = Flash(id);
  return flash.is_object() ? flash.value("bytes_read", uint64_t{0}) : 0;
}

uint16_t FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(fd);
  return ntohs(address.sin_port);
}

}  // namespace headrace::serve
