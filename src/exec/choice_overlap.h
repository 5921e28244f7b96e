// How many of a token's experts the token before it had chosen, too: what tokens that are judged together save
// (plan/expert_demand.h).
#pragma once

#include <cstdint>
#include <vector>

#include "exec/router_choice.h"

namespace headrace {

// One owner.
class ChoiceOverlap {
 public:
  // The tokens of wider passes are a prompt's, as a rule. Those of narrow ones are drafts, or of several texts: their
  // neighbours are not known.
  static constexpr int64_t kPromptTokens = 32;

  // A layer has chosen for the tokens of a pass. Passes of one token follow each other, and a prompt.
  void Add(uint32_t layer, const RouterChoice& choice);

  uint64_t choices() const { return choices_; }  // of tokens of which the one before is known
  uint64_t again() const { return again_; }      // of those: that one's, too

 private:
  std::vector<std::vector<uint32_t>> last_;  // of each layer, the experts of the last token; none: not known
  uint64_t choices_ = 0, again_ = 0;
};

}  // namespace headrace
