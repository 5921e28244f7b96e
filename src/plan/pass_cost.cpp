#include "plan/pass_cost.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace headrace {
namespace {

double Seconds(double amount, double per_second) { return per_second > 0 ? amount / per_second : 0; }

}  // namespace

PassCost::PassCost(const ResidencyPlan& plan, const MachineProfile& machine, double active_parameters,
                   const ExpertDemand& experts)
    : experts_(experts),
      cached_bytes_(static_cast<double>(plan.expert_cache_bytes)),
      disk_bytes_per_s_(machine.disk_bytes_per_s) {
  const double streamed = static_cast<double>(plan.streamed_bytes);
  shared_disk_s_ = headrace::Seconds(streamed, machine.disk_bytes_per_s);
  plain_token_s_ = headrace::Seconds(streamed + static_cast<double>(plan.resident_bytes) + experts.token_bytes(),
                                     machine.decode_bytes_per_s);
  packed_token_s_ = headrace::Seconds(2 * active_parameters, machine.prompt_flops_per_s);
  pack_s_ = headrace::Seconds(streamed, machine.repack_bytes_per_s);
}

void PassCost::Correct(std::vector<MeasuredPass> measured) {
  std::erase_if(measured, [](const MeasuredPass& pass) { return !(pass.tokens > 0 && pass.seconds > 0); });
  std::sort(measured.begin(), measured.end(),
            [](const MeasuredPass& a, const MeasuredPass& b) { return a.tokens < b.tokens; });
  // A wider pass takes no less time; where it seems to, the disk was slower while the narrower ones were measured.
  for (size_t i = measured.size(); i-- > 1;)
    measured[i - 1].seconds = std::min(measured[i - 1].seconds, measured[i].seconds);
  measured_ = std::move(measured);
}

double PassCost::DiskSeconds(const PassTokens& pass) const {
  return shared_disk_s_ + headrace::Seconds(experts_.AbsentBytes(pass, cached_bytes_), disk_bytes_per_s_);
}

double PassCost::Predicted(const PassTokens& pass) const {
  double compute_s = plain_token_s_ * pass.tokens;
  if (packed_token_s_ > 0)
    compute_s = std::min(compute_s > 0 ? compute_s : HUGE_VAL, pack_s_ + packed_token_s_ * pass.tokens);
  return std::max(DiskSeconds(pass), compute_s);
}

double PassCost::Seconds(const PassTokens& pass) const {
  const double tokens = pass.tokens, predicted = Predicted(pass);
  if (measured_.empty()) return predicted;
  const auto after = std::lower_bound(measured_.begin(), measured_.end(), tokens,
                                      [](const MeasuredPass& other, double width) { return other.tokens < width; });
  const auto scaled = [&](const MeasuredPass& nearest) {
    const double there = Predicted({nearest.tokens, std::min(pass.texts, nearest.tokens)});
    return there > 0 ? predicted * nearest.seconds / there : nearest.seconds;
  };
  if (after == measured_.begin()) return scaled(*after);
  if (after == measured_.end()) return scaled(measured_.back());
  const MeasuredPass& before = *(after - 1);
  const double share = (tokens - before.tokens) / (after->tokens - before.tokens);
  return before.seconds + share * (after->seconds - before.seconds);
}

}  // namespace headrace
