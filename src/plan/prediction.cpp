#include "plan/prediction.h"

#include <algorithm>
#include <cmath>

namespace headrace {
namespace {

double SecondsFor(double amount, double per_second) { return per_second > 0 ? amount / per_second : 0; }

}  // namespace

Prediction Predict(const ResidencyPlan& plan, const MachineProfile& machine, double active_parameters,
                   uint64_t prompt_tokens, uint64_t ubatch_tokens, const ExpertDemand& experts) {
  const double all_experts = experts.bytes(), token_experts = experts.token_bytes();
  const double cached = std::min(all_experts, static_cast<double>(plan.expert_cache_bytes));
  const double absent = experts.AbsentBytes({1}, cached);
  const double shared_streamed = static_cast<double>(plan.streamed_bytes);
  const double shared = shared_streamed + static_cast<double>(plan.resident_bytes);
  const double decode_disk_s = SecondsFor(shared_streamed + absent, machine.disk_bytes_per_s);
  const double decode_s = SecondsFor(shared + token_experts, machine.decode_bytes_per_s);

  Prediction prediction;
  prediction.disk_bound = decode_disk_s > decode_s;
  if (const double pass = std::max(decode_disk_s, decode_s); pass > 0) {
    prediction.decode_tokens_per_s = 1 / pass;
    prediction.decode_low_tokens_per_s = kReachedShare / pass;
    const double luckier_disk_s = SecondsFor(shared_streamed + absent / 2, machine.disk_bytes_per_s);
    prediction.decode_high_tokens_per_s = 1 / std::max(luckier_disk_s, decode_s);
  }

  if (prompt_tokens == 0 || ubatch_tokens == 0) return prediction;
  const double passes = std::ceil(static_cast<double>(prompt_tokens) / static_cast<double>(ubatch_tokens));
  // A pass of a prompt needs nearly all experts.
  const double streamed = shared_streamed + all_experts - cached;
  const double disk_s = SecondsFor(streamed, machine.disk_bytes_per_s);
  const double flops = 2 * active_parameters * static_cast<double>(prompt_tokens);
  const double compute_s =
      SecondsFor(flops, machine.prompt_flops_per_s) + passes * SecondsFor(shared_streamed, machine.repack_bytes_per_s);
  if (const double prompt_s = std::max(passes * disk_s, compute_s); prompt_s > 0) {
    prediction.prompt_tokens_per_s = static_cast<double>(prompt_tokens) / prompt_s;
  }
  // Nothing is resident yet: the first pass reads everything.
  const double first_pass_s = SecondsFor(shared + all_experts, machine.disk_bytes_per_s);
  prediction.first_token_s = std::max(first_pass_s + (passes - 1) * disk_s, compute_s);
  return prediction;
}

}  // namespace headrace
