#include "exec/choice_overlap.h"

#include <algorithm>

namespace headrace {

void ChoiceOverlap::Add(uint32_t layer, const RouterChoice& choice) {
  if (layer >= last_.size()) last_.resize(layer + 1);
  const std::vector<uint32_t> before = std::move(last_[layer]);
  last_[layer].clear();
  const int64_t tokens = choice.tokens();
  if (tokens != 1 && tokens < kPromptTokens) return;
  for (const uint32_t expert : choice.experts()) {
    int64_t previous = std::find(before.begin(), before.end(), expert) != before.end() ? -1 : -2;
    for (const ExpertPair& pair : choice.pairs(expert)) {
      if (pair.token > 0 || !before.empty()) {
        ++choices_;
        again_ += previous == pair.token - 1;
      }
      previous = pair.token;
    }
    if (previous == tokens - 1) last_[layer].push_back(expert);
  }
}

}  // namespace headrace
