#include "batch/request.h"

#include <algorithm>
#include <array>

namespace headrace::batch {
namespace {

constexpr uint64_t kMostTokens = 1 << 30;  // that a request can name

constexpr std::array<const char*, 3> kUrls = {"/v1/chat/completions", "/v1/completions", "/v1/embeddings"};
// OpenAI's names, and llama-server's own.
constexpr const char* kLimits[] = {"max_completion_tokens", "max_tokens", "n_predict"};

const Json* Find(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

// What is wrong with a line that is an object; fills the request on the way.
std::string Check(const Json& line, Request& request) {
  const Json* id = Find(line, "custom_id");
  if (id == nullptr) return "it has no custom_id";
  if (!id->is_string() || id->get_ref<const std::string&>().empty())
    return "its custom_id is not a string, or is empty";
  request.custom_id = id->get<std::string>();
  const Json* method = Find(line, "method");
  if (method != nullptr && *method != "POST") return "its method is not POST";
  const Json* url = Find(line, "url");
  if (url == nullptr || !url->is_string()) return "it has no url";
  const auto known = std::find(kUrls.begin(), kUrls.end(), url->get_ref<const std::string&>());
  if (known == kUrls.end()) return "its url is none of /v1/chat/completions, /v1/completions and /v1/embeddings";
  request.endpoint = static_cast<Endpoint>(known - kUrls.begin());
  const Json* body = Find(line, "body");
  if (body == nullptr || !body->is_object()) return "its body is not an object";
  request.body = *body;
  const Json* stream = Find(*body, "stream");
  if (stream != nullptr && *stream != false && !stream->is_null())
    return "its body asks for \"stream\", but a batch has only whole answers";
  return "";
}

uint64_t TextBytes(const Json& json) {
  if (json.is_string()) return json.get_ref<const std::string&>().size();
  uint64_t bytes = 0;
  if (json.is_structured()) {
    for (const Json& part : json) bytes += TextBytes(part);
  }
  return bytes;
}

// A text, a list of tokens, or a list of either.
void AddPrompts(const Json& prompts, Demand& demand) {
  demand.prompts = 0;
  const auto add = [&](const Json& prompt) {
    ++demand.prompts;
    demand.prompt_bytes += TextBytes(prompt);
    if (prompt.is_array()) demand.prompt_tokens += prompt.size();
  };
  const bool list = prompts.is_array() &&
                    std::any_of(prompts.begin(), prompts.end(), [](const Json& part) { return !part.is_number(); });
  if (list) {
    std::for_each(prompts.begin(), prompts.end(), add);
  } else {
    add(prompts);
  }
}

// Nullopt when absent, no number or negative, which is "no limit" to llama-server.
std::optional<uint64_t> Number(const Json& body, const char* key) {
  const Json* value = Find(body, key);
  if (value == nullptr || !value->is_number() || *value < 0) return std::nullopt;
  return static_cast<uint64_t>(std::min(value->get<double>(), static_cast<double>(kMostTokens)));
}

std::optional<uint64_t> Limit(const Json& body) {
  for (const char* key : kLimits) {
    if (const auto limit = Number(body, key)) return limit;
  }
  return std::nullopt;
}

}  // namespace

const char* UrlOf(Endpoint endpoint) { return kUrls[static_cast<size_t>(endpoint)]; }

Request ParseRequest(std::string_view line) {
  Request request;
  const auto json = ParseOrderedJson(line);
  if (!json.ok()) {
    request.problem = "it is not JSON: " + json.status().message();
  } else if (!json->is_object()) {
    request.problem = "it is not a JSON object";
  } else {
    request.problem = Check(*json, request);
  }
  return request;
}

Demand DemandOf(const Request& request) {
  Demand demand;
  const Json& body = request.body;
  if (request.endpoint == Endpoint::kEmbedding) {
    if (const Json* input = Find(body, "input")) AddPrompts(*input, demand);
    demand.answer_tokens = 0;
    return demand;
  }
  if (request.endpoint == Endpoint::kCompletion) {
    if (const Json* prompt = Find(body, "prompt")) AddPrompts(*prompt, demand);
  } else {
    for (const char* key : {"messages", "tools", "functions", "response_format"}) {
      if (const Json* part = Find(body, key)) demand.prompt_bytes += TextBytes(*part);
    }
    if (const Json* messages = Find(body, "messages"); messages != nullptr && messages->is_array())
      demand.prompt_tokens = 8 * messages->size();
  }
  demand.answers = std::max<uint64_t>(1, Number(body, "n").value_or(1));
  demand.answer_tokens = Limit(body);
  return demand;
}

std::string BodyFor(const Request& request, uint64_t answer_tokens) {
  Json body = request.body;
  if (request.endpoint != Endpoint::kEmbedding && !Limit(body)) {
    // What is no number is left to the engine, which says what is wrong with it.
    const bool odd = std::any_of(std::begin(kLimits), std::end(kLimits), [&](const char* key) {
      const Json* value = Find(body, key);
      return value != nullptr && !value->is_number() && !value->is_null();
    });
    if (!odd) {
      for (const char* key : kLimits) body.erase(key);
      body["max_tokens"] = answer_tokens;
    }
  }
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace headrace::batch
