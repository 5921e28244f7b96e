// POST /api/pull: `headrace pull` for those who ask through the port.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "http/exchange.h"
#include "http/net.h"
#include "serve/models/model_manager.h"

namespace headrace::serve {

// What of the hub "hf.co/USER/NAME:QUANTIZATION", "hf:USER/NAME" or "USER/NAME:latest" means, as PullRequest writes it.
// Error: kInvalidArgument, for addresses and for names of Ollama's own library. Pure.
Result<std::string> HubSourceOf(const std::string& name);

// Lives on the loop; downloads run on a thread of its own, one after the other. All arguments outlive it.
class OllamaPull {
 public:
  OllamaPull(const Settings& settings, ModelManager& manager) : settings_(settings), manager_(manager) {}

  // A client that goes away stops its download, which the next request for it goes on with.
  Task<> Handle(Exchange& exchange);
  // Stops what runs and takes nothing more.
  void Finish() { ending_ = true; }
  // Waits for the thread. After Finish.
  void Join() { thread_.join(); }

 private:
  struct State;
  void Start(const std::shared_ptr<State>& state);
  Task<> Stream(Exchange& exchange, std::shared_ptr<State> state);
  Task<> Whole(Exchange& exchange, std::shared_ptr<State> state);

  const Settings& settings_;
  ModelManager& manager_;
  std::atomic<bool> ending_ = false;
  asio::thread_pool thread_{1};
};

}  // namespace headrace::serve
