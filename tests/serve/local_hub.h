// A hub on this machine: tests/support/hub_server.py, with models of this repository.
#pragma once

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/temporary_tree.h"
#include "command_runner.h"

namespace headrace::serve {

class LocalHub {
 public:
  static constexpr const char* kRepository = "u/austen-GGUF";

  // `tree` outlives it.
  explicit LocalHub(const TemporaryTree& tree) : tree_(tree) {}
  ~LocalHub() {
    if (server_ == nullptr) return;
    server_->SignalCommand(SIGKILL);
    server_->Finish();
  }
  LocalHub(const LocalHub&) = delete;
  LocalHub& operator=(const LocalHub&) = delete;

  // With kRepository, whose only model this file is.
  void Start(const std::string& model);
  // What is changed in it counts after Write.
  nlohmann::json& configuration() { return configuration_; }
  void Write();
  // Seconds before each 64 KiB.
  void Delay(double seconds);

  // For HF_ENDPOINT.
  const std::string& address() const { return address_; }
  // What was asked for: paths.
  std::vector<std::string> Asked() const;

 private:
  const TemporaryTree& tree_;
  nlohmann::json configuration_;
  std::unique_ptr<cli::RunningCommand> server_;
  std::string address_;
};

}  // namespace headrace::serve
