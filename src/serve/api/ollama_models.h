// Models as Ollama's API shows them. Pure.
#pragma once

#include <string>

#include "http/http.h"
#include "models/model_library.h"
#include "serve/models/model.h"

namespace headrace::serve {

// One of GET /api/tags; `name` is its id or another name.
Json OllamaTag(const ModelEntry& entry, const std::string& name);
// One of GET /api/ps. `ttl`: of the server, 0 for ever.
Json OllamaRunning(const Model& model, std::chrono::seconds ttl);
// The answer to POST /api/show. `properties`: llama-server's answer to GET /props, null where the model is not loaded.
Json OllamaShow(const ModelEntry& entry, const Json& properties, bool has_projector);

}  // namespace headrace::serve
