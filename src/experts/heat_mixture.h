// How likely each expert is to be chosen next: its uses by a short, a middle and a long memory, each counting as much
// as it has foretold the choices so far. Where some experts stay popular the long memory wins, where subjects drift the
// short one. The cache gives up the least likely expert first.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace headrace {

// One owner.
class HeatMixture {
 public:
  // Tokens after which a use counts half.
  static constexpr std::array<double, 3> kHalfLives = {2, 16, 128};

  // `experts` of all layers together, none used yet.
  explicit HeatMixture(size_t experts);

  // A pass of so many tokens begins. What has been learned since the last one counts from now on: within a pass an
  // expert's worth changes by Touch alone.
  void Age(double tokens);
  // The expert was chosen by that many of the pass's tokens; `chance` is what it would have been for each had all
  // experts been equally likely.
  void Touch(size_t expert, double tokens, double chance);
  // The expert counts as one that each of many tokens before chose with this chance.
  void Recall(size_t expert, double chance);
  // Grows with how likely the next token chooses it: about its chance, where the memories foretell well.
  double operator[](size_t expert) const {
    const Heats& heats = heats_[expert];
    double worth = 0;
    for (size_t i = 0; i < heats.size(); ++i) worth += factors_[i] * heats[i];
    return worth;
  }

  // How much each memory counts, and, last, none of them: together one.
  const std::array<double, kHalfLives.size() + 1>& weights() const { return weights_; }

 private:
  using Heats = std::array<double, kHalfLives.size()>;

  void SetFactors();

  // Instead of shrinking every heat, the worth of a new use grows; all are scaled down before it overflows.
  std::vector<Heats> heats_;
  Heats units_{};    // of one use that happened now
  Heats spreads_{};  // of a use somewhere in the pass, in such units
  Heats scales_{};   // from heat to the chance at the next token
  Heats factors_{};  // the same, times the memory's weight
  std::array<double, kHalfLives.size() + 1> weights_{};
  double tokens_ = 0;  // so far
  bool learns_ = true;
};

}  // namespace headrace
