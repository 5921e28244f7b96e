// Ollama's models: blobs without names, and manifests that name them.
#pragma once

#include <string>
#include <vector>

#include "models/way.h"

namespace headrace {

// Of the folder that OLLAMA_MODELS means: "qwen3:30b", "USER/NAME:TAG", "hf.co/USER/NAME:TAG". Manifests that cannot be
// understood, that point out of the folder, and those of models whose blob is missing are left out.
std::vector<Way> OllamaModels(const std::string& folder);

}  // namespace headrace
