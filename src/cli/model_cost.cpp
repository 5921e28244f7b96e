#include "cli/model_cost.h"

namespace headrace::cli {
namespace {

ExpertTraffic ExpertsOf(const ModelWeights& weights) { return {weights.expert_bytes, weights.active_expert_bytes}; }

}  // namespace

Result<PassCost> PassCostOf(const ModelSetup& model, const MachineProfile& machine, const Learned& learned) {
  const auto plan = model.Plan();
  if (!plan.ok()) return plan.status();
  PassCost cost(*plan, machine, model.weights.active_parameters, ExpertsOf(model.weights));
  cost.Correct(learned.passes);
  return cost;
}

Result<Prediction> PredictionOf(const ModelSetup& model, const MachineProfile& machine, uint64_t prompt_tokens, uint64_t batch_tokens) {
  const auto plan = model.Plan();
  if (!plan.ok()) return plan.status();
  return Predict(*plan, machine, model.weights.active_parameters, prompt_tokens, batch_tokens, ExpertsOf(model.weights));
}

}  // namespace headrace::cli
