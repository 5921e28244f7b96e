// What a llama-server computes for a fixed text: to be compared with what it computes when its weights stream.
#pragma once

#include <string>

#include "base/status.h"
#include "llama_server/lone_server.h"

namespace headrace::check {

struct EngineAnswer {
  std::string text;  // that was generated, greedily
  std::string
      probabilities;  // of every token of the vocabulary at each of its places, as JSON with all digits of a float
  std::string why_not_streaming;  // "" when weights streamed, or need not
  uint64_t bytes_read = 0;        // by streaming
};

// The prompt is wide enough for passes of many tokens, the answer has passes of one. Errors: the server's start, its
// refusals; kCancelled when a signal ended it, which has its number in `signal`.
Result<EngineAnswer> AskEngine(serve::LoneServerSpec server, int& signal);

}  // namespace headrace::check
