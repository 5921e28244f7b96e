#include "serve/api/request_check.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/size.h"

namespace headrace::serve {
namespace {

constexpr const char* kKeys[] = {"logprobs", "top_logprobs", "n_probs"};
constexpr const char* kLimits[] = {"max_tokens", "max_completion_tokens", "n_predict"};

// llama-server gives none for 0.
bool Asks(const Json& value) {
  return value.is_boolean() ? value.get<bool>() : value.is_number() && value.get<double>() > 0;
}

}  // namespace

uint64_t FingerprintOf(const Request& request, const LoadPlan& plan) {
  uint64_t hash = HashBytes(plan.entry.path + "\n" + Dump(ToJson(plan.asked)) + "\n" + request.method + "\n" +
                            request.target + "\n");
  return HashBytes(request.body, hash);
}

bool WantsProbabilities(const std::string& body) {
  // Most requests do not, and some are long.
  const bool named = std::any_of(std::begin(kKeys), std::end(kKeys),
                                 [&](const char* key) { return body.find(key) != std::string::npos; });
  if (!named) return false;
  const auto parsed = ParseJson(body, 1);
  const Json json = parsed.ok() ? *parsed : Json();
  if (!json.is_object()) return false;
  const bool asks = std::any_of(std::begin(kKeys), std::end(kKeys),
                                [&](const char* key) { return json.contains(key) && Asks(json[key]); });
  // No token is drafted for an answer of one.
  const bool one = std::any_of(std::begin(kLimits), std::end(kLimits),
                               [&](const char* key) { return json.contains(key) && json[key] == 1; });
  return asks && !one;
}

Status CheckRequest(const Request& request, const Model& model) {
  const LoadPlan& plan = model.plan();
  if (plan.drafts && WantsProbabilities(request.body)) {
    const bool own = plan.speculation->kind == cli::SpeculationKind::kUser;
    const std::string remedy =
        own ? "leave the options for drafts (--spec-..., -md) after -- out"
            : fmt::format(R"(load it without them: POST /api/v1/models/load {{"model": {}, "speculate": "off"}})",
                          Dump(Json(model.id())));
    return Status(
        Code::kUnsupported,
        fmt::format(
            "log probabilities cannot be had while {} is loaded with drafts (speculative decoding): llama-server "
            "gives none for the tokens that were drafted; {}",
            model.id(), remedy));
  }
  const auto seconds = model.culprits().RefusedFor(FingerprintOf(request, plan), Clock::now());
  if (seconds.count() == 0) return {};
  return Status(
      Code::kUnsupported,
      fmt::format("this very request ended the process of {} twice, and is refused for {} s more; others are answered",
                  model.id(), seconds.count()));
}

}  // namespace headrace::serve
