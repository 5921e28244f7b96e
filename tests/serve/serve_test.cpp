#include "serve_test.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace headrace::serve {

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void ServeTest::SetUp() {
  CommandTest::SetUp();
  // Threads that spin while they wait for each other make busy machines slow.
  environment_["OMP_WAIT_POLICY"] = "passive";
  if (!std::filesystem::exists(std::string(HEADRACE_ENGINE_PREFIX) + "/usr/bin/llama-server") && Run({"engine"}).status != 0) {
    GTEST_SKIP() << "no llama.cpp in " << HEADRACE_ENGINE_PREFIX;
  }
}

bool ServeTest::StartServer(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"serve", "--port", "0"});
  server_.reset(new cli::RunningCommand(Start(arguments)));
  if (!server_->WaitForOutput("listening on http://127.0.0.1:") || !server_->WaitForOutput("\n")) {
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

Answer ServeTest::Ask(const std::string& method, const std::string& target, const std::string& body, const HttpHeaders& headers) {
  HttpClient client(port_);
  client.Send(method, target, body, headers);
  const HttpResponse response = client.Read();
  return {response.status, Json::parse(response.body, nullptr, false), response.body, response.headers};
}

Answer ServeTest::Complete(const std::string& model, int tokens) {
  return Post("/v1/completions", {{"model", model}, {"prompt", "It is a truth"}, {"max_tokens", tokens}, {"temperature", 0}});
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

std::vector<pid_t> ServeTest::Children() const {
  std::vector<pid_t> children;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    std::ifstream file(entry.path() / "stat");
    std::string text;
    if (!std::getline(file, text)) continue;
    int parent = 0;
    char state = 0;
    // The name in parentheses may hold anything.
    if (std::sscanf(text.c_str() + text.rfind(')') + 1, " %c %d", &state, &parent) == 2 && parent == server_->id()) {
      children.push_back(std::atoi(entry.path().filename().c_str()));
    }
  }
  return children;
}

bool ServeTest::Eventually(const std::function<bool()>& holds) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

}  // namespace headrace::serve
