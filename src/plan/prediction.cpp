#include "plan/prediction.h"

#include <algorithm>
#include <cmath>

namespace headrace {
namespace {

double Seconds(double amount, double per_second) { return per_second > 0 ? amount / per_second : 0; }

}  // namespace

Prediction Predict(const ResidencyPlan& plan, const MachineProfile& machine, double active_parameters,
                   uint64_t prompt_tokens, uint64_t ubatch_tokens) {
  const double streamed = static_cast<double>(plan.streamed_bytes);
  const double weights = streamed + static_cast<double>(plan.resident_bytes);
  const double disk_s = Seconds(streamed, machine.disk_bytes_per_s);
  const double decode_s = Seconds(weights, machine.decode_bytes_per_s);

  Prediction prediction;
  prediction.disk_bound = disk_s > decode_s;
  if (const double pass = std::max(disk_s, decode_s); pass > 0) prediction.decode_tokens_per_s = 1 / pass;

  if (prompt_tokens == 0 || ubatch_tokens == 0) return prediction;
  const double passes = std::ceil(static_cast<double>(prompt_tokens) / static_cast<double>(ubatch_tokens));
  const double flops = 2 * active_parameters * static_cast<double>(prompt_tokens);
  const double compute_s = Seconds(flops, machine.prompt_flops_per_s) + passes * Seconds(streamed, machine.repack_bytes_per_s);
  if (const double prompt_s = std::max(passes * disk_s, compute_s); prompt_s > 0) {
    prediction.prompt_tokens_per_s = static_cast<double>(prompt_tokens) / prompt_s;
  }
  // Nothing is resident yet: the first pass reads everything.
  const double first_pass_s = Seconds(weights, machine.disk_bytes_per_s);
  prediction.first_token_s = std::max(first_pass_s + (passes - 1) * disk_s, compute_s);
  return prediction;
}

}  // namespace headrace
