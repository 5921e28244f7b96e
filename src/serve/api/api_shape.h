// How the APIs that are spoken here write an error: as an answer, and in a stream that has begun. Pure.
#pragma once

#include <string>
#include <string_view>

#include "http/http.h"

namespace headrace::serve {

enum class ApiShape {
  kOpenAi,  // llama-server's and LM Studio's too
  kAnthropic,
  kOllama,
};

// Of a path: Ollama has all below /api that are not ours (/api/v1) or LM Studio's (/api/v0).
ApiShape ShapeOf(std::string_view path);

// An error that has the shape of ErrorReply, or is llama-server's own.
Reply ErrorInShape(ApiShape shape, Reply error);

// The same as the end of a stream: an event, or a line.
std::string ErrorInStream(ApiShape shape, const Reply& error);

}  // namespace headrace::serve
