// Messages of Ollama's API as OpenAI's, which llama-server reads. Pure.
#pragma once

#include "base/json.h"
#include "base/status.h"

namespace headrace::serve {

// Images (base64) become addresses with the data in them, arguments of tool calls text, and a tool's answer without an
// id belongs to the first call before it that has none. Errors: kInvalidArgument, also for what is no list.
Result<Json> ChatMessages(const Json& messages);

// One message; `images` is a list or null.
Result<Json> MessageOf(const std::string& role, const std::string& text, const Json& images);

}  // namespace headrace::serve
