#include "experts/expert_heat.h"

#include <cmath>

namespace headrace {
namespace {

constexpr double kLargestUnit = 0x1p200;

}  // namespace

ExpertHeat::ExpertHeat(size_t experts, double half_life) : heat_(experts, 0.0), half_life_(half_life) {}

void ExpertHeat::Age(double tokens) {
  unit_ *= std::exp2(std::fmin(tokens / half_life_, 200.0));
  if (unit_ < kLargestUnit) return;
  for (double& heat : heat_) heat /= unit_;
  unit_ = 1;
}

void ExpertHeat::Touch(size_t expert, double tokens) { heat_[expert] += tokens * unit_; }

}  // namespace headrace
