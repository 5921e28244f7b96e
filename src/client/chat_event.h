// One event of a streamed answer of /v1/chat/completions, headrace's and llama-server's own members included. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace headrace::client {

struct ChatEvent {
  std::string content, reasoning;  // what follows what came before
  std::string news;                // what the answer waits for, "" for none
  std::string finish_reason;       // "" until the end
  std::string model;               // who answers
  std::string error;               // the answer ends with it
  Json usage, timings;             // null but at the end
};

// `data` of one event. What is not known in it is left out; "[DONE]" is an empty event.
ChatEvent ParseChatEvent(std::string_view data);

// Without what would move a terminal's cursor or change it: control characters but line breaks and tabs.
std::string ForTerminal(std::string_view text);

}  // namespace headrace::client
