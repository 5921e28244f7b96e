// What a model would be with its own draft head: its memory settled anew, and what earlier runs with the head have
// shown.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "learned/learned.h"
#include "setup/model_setup.h"
#include "setup/speculation.h"

namespace headrace::cli {

struct HeadTrial {
  ModelSetup model;
  LearnedPlace place;
  Learned learned;

  // Where `without` is what is known without the head. It must not outlive the trial.
  SpeculationInput Input(const SpeculationInput& without) const;
};

// `model` is settled for `arguments` with `simulation`, `place` is what was learned without the head. Nullopt where the
// memory is too little for it: then the simulation is as before. The smallest memory that works, and that in which
// nothing streams, stay those without it: no head is used there.
std::optional<HeadTrial> TryHead(const Engine& engine, const EngineArguments& arguments, const ModelSetup& model,
                                 const LearnedPlace& place, std::optional<Result<EngineSimulation>>& simulation);
// The head is not used after all.
void LeaveHead(const EngineArguments& arguments, std::optional<Result<EngineSimulation>>& simulation);

}  // namespace headrace::cli
