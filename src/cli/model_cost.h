// What passes over a model's weights cost in the memory that it was given. `machine` is zero where it was not measured. Pure.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "cli/learned.h"
#include "cli/model_setup.h"
#include "plan/pass_cost.h"
#include "plan/prediction.h"

namespace headrace::cli {

// By their width: predicted, and corrected by what earlier runs measured. Errors: those of ModelSetup::Plan.
Result<PassCost> PassCostOf(const ModelSetup& model, const MachineProfile& machine, const Learned& learned);

// Of decoding, and of a prompt that is read with so many tokens in a pass. Errors: those of ModelSetup::Plan.
Result<Prediction> PredictionOf(const ModelSetup& model, const MachineProfile& machine, uint64_t prompt_tokens, uint64_t batch_tokens);

}  // namespace headrace::cli
