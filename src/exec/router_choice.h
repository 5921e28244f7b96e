// Which experts the tokens of a batch chose: the ids of a MUL_MAT_ID node, sorted by expert.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "exec/ggml_api.h"

namespace headrace {

// One product of an expert with a token's column: position of its id in the ids tensor.
struct ExpertPair {
  int32_t use = 0;  // 0 .. experts per token - 1
  int32_t token = 0;
};

class RouterChoice {
 public:
  RouterChoice() = default;
  // `ids` [experts per token, tokens], I32, computed. Errors: kInternal for an id that is not below `experts`,
  // naming it: the engine would read outside of the weights.
  static Result<RouterChoice> Read(const ggml_tensor& ids, uint32_t experts);

  // The experts that were chosen, the most chosen first.
  const std::vector<uint32_t>& experts() const { return experts_; }
  bool Chosen(uint32_t expert) const { return first_[expert] < first_[expert + 1]; }
  // In the order of tokens.
  std::span<const ExpertPair> pairs(uint32_t expert) const {
    return std::span(pairs_).subspan(first_[expert], first_[expert + 1] - first_[expert]);
  }
  int64_t tokens() const { return tokens_; }

 private:
  std::vector<uint32_t> experts_;
  std::vector<size_t> first_;  // of each expert's pairs, and the end
  std::vector<ExpertPair> pairs_;
  int64_t tokens_ = 0;
};

}  // namespace headrace
