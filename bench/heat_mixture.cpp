#include "heat_mixture.h"

#include <cmath>

namespace headrace {
namespace {

// What one choice changes of the weights: some hundred choices are remembered, a few tokens. 0.0005 to 0.01 have the same hits within 0.5 %.
constexpr double kStep = 0.005;

}  // namespace

HeatMixture::HeatMixture(size_t experts) {
  for (const double half_life : kHalfLives) heats_.emplace_back(experts, half_life);
  weights_.fill(1.0 / static_cast<double>(weights_.size()));
}

void HeatMixture::Age(double tokens) {
  tokens_ += tokens;
  for (size_t i = 0; i < heats_.size(); ++i) {
    heats_[i].Age(tokens);
    // Of an expert that each token chooses the heat tends to 1 / (1 - 2^(-1 / half-life)); at the beginning it is still less.
    scales_[i] = (1 - std::exp2(-1 / kHalfLives[i])) / (1 - std::exp2(-tokens_ / kHalfLives[i]));
  }
}

void HeatMixture::Touch(size_t expert, double tokens, double chance) {
  // Each memory's part in what was foretold of this choice (expectation maximization, one choice at a time).
  std::array<double, kHalfLives.size() + 1> parts{};
  double sum = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i] = weights_[i] * (i < heats_.size() ? Foretold(i, expert) : chance);
    sum += parts[i];
  }
  for (size_t i = 0; sum > 0 && i < parts.size(); ++i) weights_[i] += kStep * (parts[i] / sum - weights_[i]);
  for (ExpertHeat& heat : heats_) heat.Touch(expert, tokens);
}

double HeatMixture::operator[](size_t expert) const {
  double worth = 0;
  for (size_t i = 0; i < heats_.size(); ++i) worth += weights_[i] * Foretold(i, expert);
  return worth;
}

}  // namespace headrace
