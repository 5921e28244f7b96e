// What passes over a model's weights cost in its memory. `machine` is zero where it was not measured. Pure, but for
// simulations.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "learned/learned.h"
#include "plan/pass_cost.h"
#include "plan/prediction.h"
#include "plan/prompt_batch.h"
#include "setup/model_setup.h"

namespace headrace::cli {

// By their width: predicted, and corrected by what earlier runs measured. Errors: those of ModelSetup::Plan.
Result<PassCost> PassCostOf(const ModelSetup& model, const MachineProfile& machine, const Learned& learned);

// Of decoding and of a prompt, as it is read with model.weights.batch_tokens in a pass. Errors: those of
// ModelSetup::Plan.
Result<Prediction> PredictionOf(const ModelSetup& model, const MachineProfile& machine, uint64_t prompt_tokens,
                                const ExpertHabits& experts = {});

// How wide the passes of a prompt are to be (llama.cpp's --ubatch-size), by plan/prompt_batch.h and what the engine
// would allocate; nullopt where nothing streams in them, devices' memory decides, or `rest`, the user's own arguments
// for the engine, say it. `model` is settled, with `simulation`; null: none. `text_bytes` of the prompt: no more tokens
// than that are chosen; 0: not known beforehand, as in a chat.
std::optional<uint64_t> ChoosePromptWidth(const ModelSetup& model, const PassCost& cost, const EngineArguments& rest,
                                          PromptPasses passes, uint64_t text_bytes, EngineSimulation* simulation);
// What was chosen and why, for people; "" for the engine's own number.
std::string DescribePromptWidth(const ModelSetup& model, uint64_t width);

}  // namespace headrace::cli
