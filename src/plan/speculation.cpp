#include "plan/speculation.h"

#include <algorithm>

namespace headrace {

double ExpectedTokens(double acceptance, uint64_t draft_tokens) {
  // Summed up: near 1 the quotient has no digits left.
  double tokens = 1;
  for (uint64_t i = 0; i < draft_tokens; ++i) tokens = 1 + acceptance * tokens;
  return tokens;
}

double TokenAcceptance(double accepted, double drafted, uint64_t draft_tokens) {
  if (!(drafted > 0) || draft_tokens == 0) return 0;
  const double tokens = 1 + std::clamp(accepted / drafted, 0.0, 1.0) * static_cast<double>(draft_tokens);
  // More acceptance, more tokens: each half of the interval halves the error.
  double low = 0, high = 1;
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (ExpectedTokens(middle, draft_tokens) < tokens ? low : high) = middle;
  }
  return high;
}

double DraftCost::Seconds(uint64_t draft_tokens) const {
  const double pass_s =
      pass.Seconds({static_cast<double>(sequences * (draft_tokens + 1)), static_cast<double>(sequences)});
  const double draft_s = draft_tokens == 0 ? 0 : static_cast<double>(draft_tokens + 1) * draft_token_s;
  return pass_s > 0 ? pass_s + draft_s : 0;
}

double DraftCost::TokensPerSecond(double acceptance, uint64_t draft_tokens) const {
  const double seconds = Seconds(draft_tokens);
  return seconds > 0 ? static_cast<double>(sequences) * ExpectedTokens(acceptance, draft_tokens) / seconds : 0;
}

uint64_t BestDraftLength(const DraftCost& cost, double acceptance) {
  uint64_t best = 0;
  for (uint64_t length = 1; length <= cost.most; ++length) {
    if (cost.TokensPerSecond(acceptance, length) > cost.TokensPerSecond(acceptance, best)) best = length;
  }
  return best;
}

uint64_t FreeDraftLength(const DraftCost& cost) {
  const double allowed = cost.Seconds(0) * (1 + kFreeShare);
  if (!(allowed > 0)) return 0;
  uint64_t length = 0;
  while (length < cost.most && cost.Seconds(length + 1) <= allowed) ++length;
  return length;
}

}  // namespace headrace
