#include "setup/learned_place.h"

namespace headrace::cli {

LearnedPlace LearnedPlaceOf(const ModelSetup& model, const std::string& draft_path, const std::string& engine_version) {
  const auto& engine = model.memory.engine;
  LearnedPlace place;
  place.model_path = model.path;
  for (const auto& file : model.catalogue.files) place.model_files.push_back(file.path);
  place.token_choices = model.catalogue.experts_used * model.catalogue.layers;
  place.draft_path = draft_path;
  place.weights_bytes = model.memory.weights_budget_bytes;
  place.devices = engine ? PlacedText(engine->devices) : "";
  place.engine_version = engine_version;
  return place;
}

}  // namespace headrace::cli
