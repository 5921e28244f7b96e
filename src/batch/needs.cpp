#include "batch/needs.h"

#include <algorithm>

#include "base/size.h"

namespace headrace::batch {
namespace {

constexpr uint64_t kLeastAnswer = 512;      // after a prompt that fills the usual context
constexpr uint64_t kShortestContext = 256;  // llama.cpp's own unit

// Counted once where all are alike, as inputs of an embedding are not: their sum is on the safe side.
uint64_t TokensOfOne(const Demand& demand, uint64_t prompt_tokens) {
  return prompt_tokens / std::max<uint64_t>(1, demand.prompts);
}

}  // namespace

uint64_t AnswerTokens(const Demand& demand, uint64_t prompt_tokens, const TokenLimits& limits) {
  const uint64_t prompt = TokensOfOne(demand, prompt_tokens);
  const uint64_t room = std::max<uint64_t>(1, limits.context - std::min(limits.context, prompt));
  if (demand.answer_tokens) return std::min(*demand.answer_tokens, room);
  if (limits.answer) return std::min(*limits.answer, room);
  const uint64_t usual = limits.usual - std::min(limits.usual, prompt);
  return std::min(std::max(usual, kLeastAnswer), room);
}

Need NeedOf(const Demand& demand, uint64_t prompt_tokens, const TokenLimits& limits) {
  const uint64_t sequences = std::max<uint64_t>(1, demand.prompts) * demand.answers;
  return {prompt_tokens * demand.answers + sequences * AnswerTokens(demand, prompt_tokens, limits), sequences};
}

void DemandSum::Add(const Demand& demand) {
  const Need need = NeedOf(demand, demand.likely_prompt_tokens(), limits_);
  ++sum_.requests;
  tokens_ += static_cast<double>(need.tokens);
  sum_.largest_tokens = std::max(sum_.largest_tokens, need.tokens);
  unlimited_ += !demand.answer_tokens;
}

BatchDemand DemandSum::total() const {
  BatchDemand total = sum_;
  total.mean_tokens = total.requests > 0 ? tokens_ / static_cast<double>(total.requests) : 0;
  return total;
}

void LongestContext::Add(const Demand& demand) {
  const uint64_t prompt = demand.most_prompt_tokens();
  longest_ = std::max(longest_, TokensOfOne(demand, prompt) + AnswerTokens(demand, prompt, limits_));
}

uint64_t LongestContext::tokens(uint64_t model_context) const {
  const uint64_t tokens = std::max(kShortestContext, AlignUp(longest_, kShortestContext));
  return model_context > 0 ? std::min(tokens, model_context) : tokens;
}

}  // namespace headrace::batch
