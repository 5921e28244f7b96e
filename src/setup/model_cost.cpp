#include "setup/model_cost.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/size.h"

namespace headrace::cli {
namespace {

// What a wider prompt may take from the weights.
constexpr uint64_t kWidthPart = 16;

ExpertDemand ExpertsOf(const ModelWeights& weights, const ExpertHabits& habits) {
  return {weights.expert_bytes, weights.active_expert_bytes, habits};
}

}  // namespace

Result<PassCost> PassCostOf(const ModelSetup& model, const MachineProfile& machine, const Learned& learned) {
  const auto plan = model.Plan();
  if (!plan.ok()) return plan.status();
  PassCost cost(*plan, machine, model.weights.active_parameters, ExpertsOf(model.weights, learned.experts));
  cost.Correct(learned.passes);
  return cost;
}

Result<Prediction> PredictionOf(const ModelSetup& model, const MachineProfile& machine, uint64_t prompt_tokens,
                                const ExpertHabits& experts) {
  const auto plan = model.Plan();
  if (!plan.ok()) return plan.status();
  MachineProfile speeds = machine;
  // What devices compute is not the processor's, and not known: the disk's part is.
  if (!model.devices.empty()) speeds.prompt_flops_per_s = speeds.repack_bytes_per_s = 0;
  return Predict(*plan, speeds, model.weights.active_parameters, prompt_tokens, model.weights.batch_tokens,
                 ExpertsOf(model.weights, experts));
}

std::optional<uint64_t> ChoosePromptWidth(const ModelSetup& model, const PassCost& cost, const EngineArguments& rest,
                                          PromptPasses passes, uint64_t text_bytes, EngineSimulation* simulation) {
  if (!model.passes_stream() || model.device_choice.batch_tokens > 0 || rest.Value(OptionId::kUbatch) ||
      rest.Value(OptionId::kBatch))
    return std::nullopt;
  const auto rest_bytes = [&](const EngineArguments& more) -> std::optional<uint64_t> {
    if (simulation == nullptr) return std::nullopt;
    const auto told = simulation->Run(more);
    return told.ok() ? std::optional(told->rest_bytes()) : std::nullopt;
  };
  const uint64_t usual = rest_bytes({}).value_or(0), weights = model.memory.weights_budget_bytes;
  const auto memory = [&](uint64_t tokens) -> std::optional<uint64_t> {
    if (tokens <= kUsualPromptBatch) return usual;
    const auto bytes = rest_bytes(EngineArguments({WithValue(OptionId::kUbatch, std::to_string(tokens))}));
    // Streaming must go on in what is left.
    const uint64_t least = FloorBytes(model.weights.extents, model.weights.token_column_bytes * tokens);
    return bytes && *bytes + least > usual + weights ? UINT64_MAX : bytes;
  };
  const uint64_t chosen = ChoosePromptBatch(cost, passes, usual + weights / kWidthPart, memory);
  if (text_bytes == 0) return chosen;
  // A token has at least a byte of text.
  const auto whole =
      std::find_if(kPromptBatches.begin(), kPromptBatches.end(), [&](uint64_t tokens) { return tokens >= text_bytes; });
  return whole == kPromptBatches.end() ? chosen : std::min(chosen, *whole);
}

std::string DescribePromptWidth(const ModelSetup& model, uint64_t width) {
  const auto plan = model.Plan();
  if (width == 0 || width == kUsualPromptBatch || !plan.ok()) return "";
  const uint64_t experts = model.weights.expert_bytes - std::min(model.weights.expert_bytes, plan->expert_cache_bytes);
  return fmt::format(
      "prompts are read {} tokens in a pass, instead of llama.cpp's own {}: a pass reads {} from disk and takes {} of "
      "memory to compute; --ubatch-size sets "
      "another number",
      width, kUsualPromptBatch, FormatSize(plan->streamed_bytes + experts),
      model.memory.engine ? FormatSize(model.memory.engine->compute_bytes) : "some");
}

}  // namespace headrace::cli
