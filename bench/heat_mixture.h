// How likely each expert is to be chosen next: its uses by a short, a middle and a long memory, each counting as much as it
// has foretold the choices so far. Where some experts stay popular the long memory wins, where subjects drift the short one.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "experts/expert_heat.h"

namespace headrace {

// One owner.
class HeatMixture {
 public:
  // Tokens after which a use counts half.
  static constexpr std::array<double, 3> kHalfLives = {2, 16, 128};

  // `experts` of all layers together, none used yet.
  explicit HeatMixture(size_t experts);

  // Time passes: so many tokens.
  void Age(double tokens);
  // The expert was chosen by that many of them; `chance` is what it would have been had all been equally likely.
  void Touch(size_t expert, double tokens, double chance);
  // Grows with how likely the next token chooses it.
  double operator[](size_t expert) const;

  // How much each memory counts, and, last, none of them: together one.
  const std::array<double, kHalfLives.size() + 1>& weights() const { return weights_; }

 private:
  double Foretold(size_t memory, size_t expert) const { return heats_[memory][expert] * scales_[memory]; }

  std::vector<ExpertHeat> heats_;
  std::array<double, kHalfLives.size()> scales_{};  // from heat to the chance at the next token
  std::array<double, kHalfLives.size() + 1> weights_{};
  double tokens_ = 0;
};

}  // namespace headrace
