// How much each expert was used lately: the number of tokens that chose it, halved every so many tokens
// ("least frequently used with ageing").
#pragma once

#include <cstddef>
#include <vector>

namespace headrace {

// One owner.
class ExpertHeat {
 public:
  // `experts` of all layers together, none used yet. `half_life`: tokens after which a use counts half.
  ExpertHeat(size_t experts, double half_life);

  // Time passes: so many tokens.
  void Age(double tokens);
  // The expert was chosen by that many of them.
  void Touch(size_t expert, double tokens);
  // In units of one use that happened now.
  double operator[](size_t expert) const { return heat_[expert] / unit_; }

 private:
  // Instead of shrinking every heat, the worth of a new use grows; all are scaled down before it overflows.
  std::vector<double> heat_;
  double half_life_;
  double unit_ = 1;
};

}  // namespace headrace
