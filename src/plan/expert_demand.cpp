#include "plan/expert_demand.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace headrace {
namespace {

constexpr double kParts = ExpertHabits::kParts;

}  // namespace

ExpertHabits::Popularity ExpertHabits::PopularityOf(std::span<const double> uses) {
  std::vector<double> sorted(uses.begin(), uses.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double all = 0;
  for (const double use : sorted) all += use;
  Popularity popularity{};
  if (!(all > 0)) return popularity;
  // Experts that lie in two parts count in each by what of them lies there.
  const double per_part = static_cast<double>(sorted.size()) / kParts;
  for (size_t expert = 0; expert < sorted.size(); ++expert) {
    for (size_t part = 0; part < kParts; ++part) {
      const double begin = std::max(static_cast<double>(expert), static_cast<double>(part) * per_part);
      const double end = std::min(static_cast<double>(expert + 1), static_cast<double>(part + 1) * per_part);
      if (end > begin) popularity[part] += (end - begin) * sorted[expert] / all;
    }
  }
  return popularity;
}

ExpertDemand::ExpertDemand(uint64_t bytes, uint64_t token_bytes, const ExpertHabits& habits)
    : bytes_(static_cast<double>(bytes)),
      token_bytes_(static_cast<double>(std::min(bytes, token_bytes))),
      lasting_(habits.lasting) {
  if (bytes == 0) return;
  const double share = token_bytes_ / bytes_;
  // Nobody chooses an expert more than once: a curve from a model of more experts may be too steep for this one.
  const double steepest = kParts * *std::max_element(habits.popularity.begin(), habits.popularity.end()) - 1;
  const double flat = share > 0 && steepest > 0 ? std::min(1.0, (1 / share - 1) / steepest) : 1;
  double by_popularity = 0;
  for (size_t part = 0; part < chosen_.size(); ++part) {
    chosen_[part] = share * (1 + flat * (kParts * habits.popularity[part] - 1));
    by_popularity += chosen_[part] * chosen_[part];
  }
  if (token_bytes_ > 0) by_popularity /= kParts * share;
  if (by_popularity < 1) kept_ = std::clamp((habits.again - by_popularity) / (1 - by_popularity), 0.0, 1.0);
}

double ExpertDemand::AbsentBytes(const PassTokens& pass, double cached) const {
  if (!(bytes_ > 0)) return 0;
  const double share = token_bytes_ / bytes_, cached_parts = kParts * std::clamp(cached / bytes_, 0.0, 1.0);
  const double texts = std::clamp(pass.texts, 1.0, std::max(1.0, pass.tokens));
  // So many tokens that know nothing of each other choose as many.
  const double draws = texts * (1 + (pass.tokens / texts - 1) * (1 - kept_));
  const bool all = pass.tokens * share >= static_cast<double>(kCoveringChoices);
  // What is not common to all texts is a mean of independent deviations.
  const double common = lasting_ + (1 - lasting_) / std::sqrt(texts);
  double absent = 0;
  for (size_t part = 0; part < chosen_.size(); ++part) {
    const double outside = std::clamp(static_cast<double>(part + 1) - cached_parts, 0.0, 1.0);
    const double chosen = share + (chosen_[part] - share) * common;
    absent += outside * (all ? 1 : 1 - std::pow(1 - std::min(1.0, chosen), draws));
  }
  return absent * bytes_ / kParts;
}

}  // namespace headrace
