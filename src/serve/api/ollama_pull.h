// POST /api/pull: `headrace pull` for those who ask through the port.
#pragma once

#include <memory>
#include <string>

#include "http/exchange.h"
#include "http/net.h"
#include "serve/api/downloads.h"
#include "serve/models/model_manager.h"

namespace headrace::serve {

// What of the hub "hf.co/USER/NAME:QUANTIZATION", "hf:USER/NAME" or "USER/NAME:latest" means, as PullRequest writes it.
// Error: kInvalidArgument, for addresses and for names of Ollama's own library. Pure.
Result<std::string> HubSourceOf(const std::string& name);

// Lives on the loop. All arguments outlive it.
class OllamaPull {
 public:
  OllamaPull(const Settings& settings, ModelManager& manager, Downloads& downloads)
      : settings_(settings), manager_(manager), downloads_(downloads) {}

  // A client that goes away stops its download, which the next request for it goes on with.
  Task<> Handle(Exchange& exchange);

 private:
  // It is here.
  Task<> Present(Exchange& exchange, bool stream);
  Task<> Stream(Exchange& exchange, std::shared_ptr<Download> download);
  Task<> Whole(Exchange& exchange, std::shared_ptr<Download> download);

  const Settings& settings_;
  ModelManager& manager_;
  Downloads& downloads_;
};

}  // namespace headrace::serve
