// Speculative decoding: how many tokens to draft before a pass over the weights judges them all. The first draft token
// that the model would not have chosen, and all after it, are lost; the pass itself always yields one token more. Pure.
//
// Y. Leviathan, M. Kalman, Y. Matias: Fast Inference from Transformers via Speculative Decoding, 2023
// (arXiv:2211.17192).
#pragma once

#include <cstdint>

#include "plan/pass_cost.h"

namespace headrace {

// Longer drafts are never chosen: few texts are so predictable, and a pass of 32 tokens computes for long.
inline constexpr uint64_t kMostDraftTokens = 31;
// What a draft whose tokens are all refused may cost: a share of the time without drafting.
inline constexpr double kFreeShare = 0.03;

// Tokens that a pass yields: (1 - a^(n+1)) / (1 - a), equation 1 of the paper, for `draft_tokens` drafted ones that are
// each accepted with the same probability, from 0 to 1, if those before were.
double ExpectedTokens(double acceptance, uint64_t draft_tokens);

// The acceptance of a token from the tokens of drafts of this length that were accepted: ExpectedTokens's inverse, for
// accepted / drafted is less than that. 0 when nothing was drafted.
double TokenAcceptance(double accepted, double drafted, uint64_t draft_tokens);

struct DraftCost {
  PassCost pass;
  double draft_token_s = 0;          // of the draft, one after the other; 0: nothing, as for n-grams
  uint64_t sequences = 1;            // whose tokens and drafts share a pass
  uint64_t most = kMostDraftTokens;  // longer drafts are not considered

  // Seconds for drafting so many tokens and judging them; 0 when nothing is known. A draft model reads what is judged
  // too, in one pass that counts like a token of it.
  double Seconds(uint64_t draft_tokens) const;
  // Tokens per second of all sequences together; 0 when nothing is known.
  double TokensPerSecond(double acceptance, uint64_t draft_tokens) const;
};

// The length with the most tokens per second, the shortest of equal ones; 0: drafting does not pay, or nothing is
// known.
uint64_t BestDraftLength(const DraftCost& cost, double acceptance);

// The longest draft with which a pass takes at most kFreeShare longer than without, so that next to nothing is lost
// when nothing is accepted; 0 when there is none, or nothing is known.
uint64_t FreeDraftLength(const DraftCost& cost);

}  // namespace headrace
