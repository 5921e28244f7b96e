// What `headrace plan` says, for the API.
#pragma once

#include "http/http.h"
#include "serve/models/model_config.h"
#include "serve/models/model_manager.h"
#include "serve/models/settings.h"

namespace headrace::serve {

// The JSON of `headrace plan --json` with the verdict. A budget that is too small is no error: "fits" is false,
// "reason" says why and "remedies" what would work. Reads the disk's speed, measuring it where it is not known yet. For
// the worker.
Result<Json> EstimateJson(const Settings& settings, const ModelManager::Preview& preview, uint64_t prompt_tokens);

// The settings in a query; `base` where it says nothing. Errors: kInvalidArgument.
Result<ModelConfig> ConfigFromQuery(const Request& request, const ModelConfig& base);

}  // namespace headrace::serve
