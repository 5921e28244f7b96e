// How many tokens of the KV cache a request may come to use. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "batch/request.h"
#include "batch/schedule.h"
#include "batch/slots.h"

namespace headrace::batch {

struct TokenLimits {
  uint64_t context = 0;            // of one prompt with its answer: the engine stops there
  uint64_t usual = 0;              // the same where a request names no limit and `answer` is not given
  std::optional<uint64_t> answer;  // of an answer whose request names no limit
};

// The most tokens of each answer, when all prompts together have so many.
uint64_t AnswerTokens(const Demand& demand, uint64_t prompt_tokens, const TokenLimits& limits);
Need NeedOf(const Demand& demand, uint64_t prompt_tokens, const TokenLimits& limits);

// Adds up the likely needs of many requests.
class DemandSum {
 public:
  explicit DemandSum(const TokenLimits& limits) : limits_(limits) {}
  void Add(const Demand& demand);
  BatchDemand total() const;
  uint64_t unlimited() const { return unlimited_; }  // requests that name no limit

 private:
  const TokenLimits limits_;
  BatchDemand sum_;
  double tokens_ = 0;
  uint64_t unlimited_ = 0;
};

// The context that the longest of them may need, by the cautious guess; at most `model_context`, 0 unknown.
class LongestContext {
 public:
  LongestContext(uint64_t usual, std::optional<uint64_t> answer) : limits_{UINT64_MAX / 4, usual, answer} {}
  void Add(const Demand& demand);
  uint64_t tokens(uint64_t model_context) const;

 private:
  const TokenLimits limits_;
  uint64_t longest_ = 0;
};

}  // namespace headrace::batch
