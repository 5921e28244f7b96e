#include "serve/api/request_check.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

TEST(WantsProbabilities, InTheWordsOfEachApi) {
  for (const char* body : {R"({"prompt": "x", "n_probs": 2})", R"({"messages": [], "logprobs": true})",
                           R"({"messages": [], "logprobs": true, "top_logprobs": 0})",
                           R"({"prompt": "x", "logprobs": 1, "max_tokens": 5})", R"({"top_logprobs": 3})"}) {
    EXPECT_TRUE(WantsProbabilities(body)) << body;
  }
}

TEST(WantsProbabilities, NotWhereNoneAreAskedFor) {
  for (const char* body : {"", "[]", R"({"prompt": "x"})", R"({"prompt": "logprobs"})", R"({"logprobs": false})",
                           R"({"logprobs": null, "n_probs": 0})", R"({"logprobs": 0})",
                           R"({"metadata": {"logprobs": true}})", R"({"logprobs": tru)"}) {
    EXPECT_FALSE(WantsProbabilities(body)) << body;
  }
}

TEST(WantsProbabilities, OfOneTokenTheyAreRight) {
  EXPECT_FALSE(WantsProbabilities(R"({"logprobs": 1, "max_tokens": 1})"));
  EXPECT_FALSE(WantsProbabilities(R"({"n_probs": 1, "n_predict": 1})"));
}

TEST(FingerprintOf, TellsRequestsModelsAndConfigurationsApart) {
  Request request;
  request.method = "POST";
  request.target = "/v1/completions";
  request.body = "{}";
  LoadPlan plan;
  plan.entry.path = "/a.gguf";
  const uint64_t first = FingerprintOf(request, plan);
  EXPECT_EQ(first, FingerprintOf(request, plan));
  LoadPlan other = plan;
  other.asked.flash_mode = FlashMode::kOff;
  EXPECT_NE(first, FingerprintOf(request, other));
  other = plan;
  other.entry.path = "/b.gguf";
  EXPECT_NE(first, FingerprintOf(request, other));
  request.body = "{ }";
  EXPECT_NE(first, FingerprintOf(request, plan));
}

}  // namespace
}  // namespace headrace::serve
