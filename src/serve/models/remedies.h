// What would help a model that has too little memory, in the words of the API.
#pragma once

#include <string>

#include "http/http.h"
#include "setup/memory_budget.h"
#include "setup/model_setup.h"

namespace headrace::serve {

// A list of objects, each of which can be added to a configuration as it is.
Json RemediesJson(const cli::Remedies& remedies);
// The same for a vram_gb that cannot be had.
Json VramRemediesJson(const cli::ModelSetup& setup);
// "; this would work: {...}, or {...}".
std::string RemediesText(const Json& remedies);
// The arithmetic, and the remedies after it.
std::string ShortageText(const cli::Shortage& shortage);

}  // namespace headrace::serve
