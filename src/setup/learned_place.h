// Where what is learned of a model belongs.
#pragma once

#include <string>

#include "learned/learned.h"
#include "setup/model_setup.h"

namespace headrace::cli {

// Of a model whose memory is settled. `draft_path`: "" for n-grams, or the model's own head.
LearnedPlace LearnedPlaceOf(const ModelSetup& model, const std::string& draft_path, const std::string& engine_version);

}  // namespace headrace::cli
