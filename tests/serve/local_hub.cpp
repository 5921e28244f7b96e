#include "local_hub.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

namespace headrace::serve {

void LocalHub::Start(const std::string& model) {
  auto& repository = configuration_["repositories"][kRepository];
  repository["commit"] = std::string(40, 'a');
  repository["files"]["austen-Q4_0.gguf"] = {{"source", model}};
  Write();
  const std::string script = std::string(HEADRACE_SOURCE_DIR) + "/tests/support/hub_server.py";
  server_ = std::make_unique<cli::RunningCommand>(
      std::vector<std::string>{"/usr/bin/env", "python3", script, tree_.Path("hub.json"), tree_.Path("hub.log")},
      std::map<std::string, std::string>());
  ASSERT_TRUE(server_->WaitForOutput("."));
  std::istringstream words(server_->output());
  std::string port;
  ASSERT_TRUE(words >> port >> port);
  address_ = "http://127.0.0.1:" + port;
}

// Replaced in one step: the server reads it at any time.
void LocalHub::Write() {
  tree_.File("hub.new", configuration_.dump());
  std::filesystem::rename(tree_.Path("hub.new"), tree_.Path("hub.json"));
}

void LocalHub::Delay(double seconds) {
  configuration_["delay"] = seconds;
  Write();
}

std::vector<std::string> LocalHub::Asked() const {
  std::vector<std::string> paths;
  std::ifstream log(tree_.Path("hub.log"));
  for (std::string line; std::getline(log, line);) paths.push_back(nlohmann::json::parse(line).value("path", ""));
  return paths;
}

}  // namespace headrace::serve
