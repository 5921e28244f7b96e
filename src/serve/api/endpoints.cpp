#include "serve/api/endpoints.h"

#include <algorithm>
#include <iterator>

namespace headrace::serve {
namespace {

constexpr std::string_view kWork[] = {"/v1/chat/completions",
                                      "/chat/completions",
                                      "/v1/completions",
                                      "/completions",
                                      "/completion",
                                      "/v1/responses",
                                      "/responses",
                                      "/v1/messages",
                                      "/infill",
                                      "/v1/embeddings",
                                      "/embeddings",
                                      "/embedding",
                                      "/v1/rerank",
                                      "/rerank",
                                      "/v1/reranking",
                                      "/reranking",
                                      "/tokenize",
                                      "/detokenize",
                                      "/apply-template",
                                      "/v1/messages/count_tokens",
                                      "/v1/chat/completions/input_tokens",
                                      "/chat/completions/input_tokens",
                                      "/v1/responses/input_tokens",
                                      "/responses/input_tokens",
                                      "/v1/audio/transcriptions",
                                      "/audio/transcriptions"};
// What is there of a loaded process, and is set in it.
constexpr std::string_view kState[] = {"/slots", "/lora-adapters"};
constexpr std::string_view kOneSlot = "/slots/";

template <size_t N>
bool IsOneOf(std::string_view path, const std::string_view (&paths)[N]) {
  return std::find(std::begin(paths), std::end(paths), path) != std::end(paths);
}

}  // namespace

Endpoint EndpointOf(std::string_view path) {
  if (IsOneOf(path, kWork)) return {.posted = true, .post_loads = true};
  if (path == "/props") return {.read = true, .posted = true, .read_loads = true};
  if (path == "/metrics") return {.read = true};
  if (IsOneOf(path, kState)) return {.read = true, .posted = true};
  if (path.starts_with(kOneSlot)) return {.posted = true};
  return {};
}

}  // namespace headrace::serve
