// Models as the API shows them. docs/server.md describes every key.
#pragma once

#include "http/http.h"
#include "models/model_library.h"
#include "serve/models/model.h"

namespace headrace::serve {

// What is in its file.
Json EntryJson(const ModelEntry& entry);
// What counts of the Modelfile beside a model; null when there is none.
Json ModelfileJson(const ModelDefaults& defaults);
// How its requests share passes; null where llama-server decides.
Json SharingJson(const LoadPlan& plan);
// What a loaded model runs with: "configuration", "modelfile", "sharing" and "decision".
Json InForceJson(const Model& model);
// One element of GET /api/v1/models; `model` is null when it is not loaded.
Json ModelJson(const ModelEntry& entry, const Model* model, const std::string& last_error,
               const Result<ModelConfig>& remembered);
// How far loading is; `model` is null while it waits for its turn.
Json ProgressJson(const std::string& id, const Model* model);
// One element of GET /v1/models.
Json OpenAiModelJson(const ModelEntry& entry, const Model* model);

}  // namespace headrace::serve
