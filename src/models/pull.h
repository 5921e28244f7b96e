// Fetches a model: from Hugging Face's hub into the hub's cache, so that other programs find it, or from an address
// into llama.cpp's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/config.h"
#include "base/status.h"

namespace headrace {

struct PullRequest {
  std::string source;     // "hf:USER/NAME[:QUANTIZATION]", "https://HOST/...gguf"
  bool projector = true;  // the one beside the model too
};

struct PullProgress {
  std::string file;  // that is being fetched, or checked
  bool checking = false;
  uint64_t done_bytes = 0, all_bytes = 0;  // of all files
};

struct PullEvents {
  std::function<void(const std::string&)> say;           // a line for the user
  std::function<bool(const PullProgress&)> on_progress;  // several times a second; false stops
};

struct PulledModel {
  std::string path;        // of the model, or its first part
  uint64_t bytes = 0;      // of all files
  bool was_there = false;  // nothing was fetched
  bool verified = false;   // the hashes were given, and are right
};

// HF_TOKEN, HF_ENDPOINT, and the variables of HubFolder and LlamaCacheFolder say where from and where to. A file has
// its name only when it is whole and, where its hash is known, right. Interrupted, the same call goes on. Errors:
// kInvalidArgument, kNotFound, kPermission, kOutOfBudget (the disk has too little room; nothing was fetched), kIo (a
// wrong hash too: what came is gone), kCancelled.
Result<PulledModel> PullModel(const PullRequest& request, const Getenv& getenv, const std::string& agent,
                              const PullEvents& events);

}  // namespace headrace
