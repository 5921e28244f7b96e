#include "experts/heat_mixture.h"

#include <algorithm>
#include <cmath>

namespace headrace {
namespace {

// What one choice changes of the weights: some hundred choices are remembered, a few tokens. 0.0005 to 0.01 have the
// same hits within 0.5 %.
constexpr double kStep = 0.005;
// A wider pass, a prompt, tells of all its tokens at once: what was known before it foretells none of them as it would
// the next token.
constexpr double kMostTokensToLearnFrom = 16;
constexpr double kLargestUse = 0x1p200;
// Smaller ones are zero, so that no sum is slow because of numbers that are next to nothing.
constexpr double kLeastHeat = 0x1p-200;

// Of a use at each of the last `tokens` tokens, in units of one that happened now.
double SteadyHeat(double tokens, double half_life) {
  return (1 - std::exp2(-tokens / half_life)) / (1 - std::exp2(-1 / half_life));
}

}  // namespace

HeatMixture::HeatMixture(size_t experts) : heats_(experts, Heats{}) {
  units_.fill(1);
  spreads_.fill(1);
  weights_.fill(1.0 / static_cast<double>(weights_.size()));
  SetFactors();
}

void HeatMixture::SetFactors() {
  for (size_t i = 0; i < kHalfLives.size(); ++i) {
    scales_[i] = 1 / (SteadyHeat(std::max(tokens_, 1.0), kHalfLives[i]) * units_[i]);
    factors_[i] = weights_[i] * scales_[i];
  }
}

void HeatMixture::Age(double tokens) {
  tokens_ += tokens;
  learns_ = tokens <= kMostTokensToLearnFrom;
  for (size_t i = 0; i < kHalfLives.size(); ++i) {
    spreads_[i] = SteadyHeat(std::max(tokens, 1.0), kHalfLives[i]) / std::max(tokens, 1.0);
    units_[i] *= std::exp2(std::fmin(tokens / kHalfLives[i], 200.0));
    if (units_[i] < kLargestUse) continue;
    for (Heats& heats : heats_) {
      heats[i] /= units_[i];
      if (heats[i] < kLeastHeat) heats[i] = 0;
    }
    units_[i] = 1;
  }
  SetFactors();
}

void HeatMixture::Touch(size_t expert, double tokens, double chance) {
  Heats& heats = heats_[expert];
  if (learns_) {
    // Each memory's part in what was foretold of this choice (expectation maximization, one choice at a time).
    std::array<double, kHalfLives.size() + 1> parts{};
    double sum = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      parts[i] = weights_[i] * (i < heats.size() ? heats[i] * scales_[i] : chance);
      sum += parts[i];
    }
    for (size_t i = 0; sum > 0 && i < parts.size(); ++i) weights_[i] += kStep * (parts[i] / sum - weights_[i]);
  }
  for (size_t i = 0; i < heats.size(); ++i) heats[i] += tokens * spreads_[i] * units_[i];
}

void HeatMixture::Recall(size_t expert, double chance) {
  constexpr double kMany = 16 * kHalfLives.back();
  if (tokens_ < kMany) {
    tokens_ = kMany;
    SetFactors();
  }
  for (size_t i = 0; i < kHalfLives.size(); ++i)
    heats_[expert][i] += chance * SteadyHeat(kMany, kHalfLives[i]) * units_[i];
}

}  // namespace headrace
