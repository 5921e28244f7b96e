#include "setup/head_trial.h"
#include "setup/learned_place.h"

#include "engine/draft_head.h"

namespace headrace::cli {

SpeculationInput HeadTrial::Input(const SpeculationInput& without) const {
  SpeculationInput input{model, without.machine, without.known, without.rest, learned, without.sequences};
  input.most_draft_tokens = without.most_draft_tokens;
  input.head = true;
  return input;
}

std::optional<HeadTrial> TryHead(const Engine& engine, const EngineArguments& arguments, const ModelSetup& model,
                                 const LearnedPlace& place, std::optional<Result<EngineSimulation>>& simulation) {
  HeadTrial trial{model, place, {}};
  if (!SettleMemory(&engine, Joined(arguments, HeadArguments()), trial.model, simulation).ok() ||
      !HeadFits(trial.model)) {
    LeaveHead(arguments, simulation);
    return std::nullopt;
  }
  trial.model.memory.least_bytes = model.memory.least_bytes;
  trial.model.memory.everything_bytes = model.memory.everything_bytes;
  trial.place = LearnedPlaceOf(trial.model, place.draft_path, place.engine_version);
  trial.place.head = true;
  trial.learned = LoadLearned(trial.place);
  return trial;
}

void LeaveHead(const EngineArguments& arguments, std::optional<Result<EngineSimulation>>& simulation) {
  if (simulation && simulation->ok()) (*simulation)->SetArguments(arguments);
}

}  // namespace headrace::cli
