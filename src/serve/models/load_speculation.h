// Drafts of a planned model.
#pragma once

#include "base/status.h"
#include "serve/models/load_plan.h"

namespace headrace::serve {

// Chooses whether and how tokens are proposed before passes. Errors: those of ChooseSpeculation.
Status SettleSpeculation(const Settings& settings, Simulations& simulations, LoadPlan& plan);

// What is learned about its speculative decoding belongs there.
cli::LearnedPlace LearnedPlaceOf(const Settings& settings, const LoadPlan& plan);
// What is asked for, and known, about it. The plan outlives the input.
cli::SpeculationOptions SpeculationOptionsOf(const LoadPlan& plan);
cli::SpeculationInput SpeculationInputOf(const Settings& settings, const LoadPlan& plan);

}  // namespace headrace::serve
