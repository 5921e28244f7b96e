// What llama-server's answers say, whole or one event of a stream. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"

namespace headrace::serve {

struct ChildTimings {
  uint64_t prompt_tokens = 0, tokens = 0;  // read (those that were in the cache too), written
  double prompt_ms = 0, ms = 0;
};

struct ChildOutput {
  std::string text, thinking;
  Json tool_calls;            // OpenAI's, or pieces of them; null without
  Json logprobs;              // of the tokens, OpenAI's list; null without
  std::string end;            // why it ended: OpenAI's finish_reason; "" while it goes on
  bool at_stop_text = false;  // it ended at one of the request's stop texts, as far as this is told
  std::optional<ChildTimings> timings;
  std::string error;  // what went wrong, "" when nothing did
};

// Of /v1/chat/completions and /v1/completions.
ChildOutput OpenAiOutput(const Json& json);
// Of /completion and /infill.
ChildOutput CompletionOutput(const Json& json);

// The message of an error, in whatever shape; "" where there is none.
std::string ErrorIn(const Json& json);

}  // namespace headrace::serve
