#include "serve/api/ollama_embedding.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "http/json_fields.h"
#include "llama_server/child_output.h"
#include "serve/api/ollama_answer.h"
#include "serve/api/ollama_request.h"

namespace headrace::serve {
namespace {

// Its first elements, of length one again.
std::vector<double> Shortened(const Json& vector, uint64_t dimensions) {
  std::vector<double> result;
  double sum = 0;
  for (const Json& element : vector) {
    if (result.size() == dimensions) break;
    result.push_back(element.is_number() ? element.get<double>() : 0);
    sum += result.back() * result.back();
  }
  for (double& element : result) element /= sum > 0 ? std::sqrt(sum) : 1;
  return result;
}

}  // namespace

Result<OllamaEmbedding> ParseOllamaEmbedding(const Json& body, bool one) {
  OllamaEmbedding request;
  request.one = one;
  const auto model = OllamaModelName(body);
  auto input = TextsField(body, one ? "prompt" : "input");
  const auto dimensions = WholeField(body, "dimensions");
  const auto truncate = FlagField(body, "truncate", true);
  const auto keep_alive = ParseKeepAlive(MemberOrNull(body, "keep_alive"));
  auto options = ParseOllamaOptions(MemberOrNull(body, "options"));
  if (!model.ok()) return model.status();
  if (!input.ok()) return input.status();
  if (!dimensions.ok()) return dimensions.status();
  if (!truncate.ok()) return truncate.status();
  if (!keep_alive.ok()) return keep_alive.status();
  if (!options.ok()) return options.status();
  if (*dimensions && **dimensions < 1)
    return Status(Code::kInvalidArgument, "dimensions is not understood: write a whole number above zero");
  if (one && input->size() > 1)
    return Status(Code::kInvalidArgument, "prompt is not understood: write one text; POST /api/embed takes several");
  request.model = *model;
  request.input = std::move(*input);
  if (one && request.input == std::vector<std::string>{""}) request.input.clear();
  request.dimensions = static_cast<uint64_t>(dimensions->value_or(0));
  request.truncate = *truncate;
  request.keep_alive = *keep_alive;
  request.options = std::move(*options);
  return request;
}

void OllamaEmbeddingAnswer::Begin(AnswerHead& head) {
  status_ = head.status;
  head.content_length.reset();
  head.headers = {{"Content-Type", "application/json; charset=utf-8"}};
}

std::string OllamaEmbeddingAnswer::Feed(std::string_view piece) {
  body_ += piece;
  return "";
}

Json OllamaEmbeddingAnswer::Whole(const Json& answer) const {
  Json vectors = Json::array();
  for (const Json& each : MemberOrNull(answer, "data")) {
    const Json vector = MemberOrNull(each, "embedding");
    vectors.push_back(request_.dimensions == 0 || request_.dimensions >= vector.size()
                          ? vector
                          : Json(Shortened(vector, request_.dimensions)));
  }
  if (request_.one) return {{"embedding", vectors.empty() ? Json::array() : vectors.front()}};
  const auto ns = [](Clock::duration time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  };
  return {{"model", request_.model},
          {"embeddings", vectors},
          {"total_duration", ns(Clock::now() - begin_)},
          {"load_duration", ns(load_)},
          {"prompt_eval_count", CountOf(MemberOrNull(answer, "usage"), "prompt_tokens")}};
}

std::string OllamaEmbeddingAnswer::Finish() {
  const Json answer = JsonOrNull(body_);
  if (status_ == 200) return Dump(Whole(answer)) + "\n";
  const std::string message = ErrorIn(answer);
  return Dump({{"error", message.empty() ? body_ : message}}) + "\n";
}

}  // namespace headrace::serve
