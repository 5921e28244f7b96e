// The command of the llama-server that serves a model as planned.
#pragma once

#include <string>

#include "base/status.h"
#include "llama_server/lone_server.h"
#include "serve/models/load_plan.h"

namespace headrace::serve {

// For a simulation of its memory. Errors: kUnsupported of an engine without one of the options that were asked for.
Result<cli::EngineArguments> CommandForMemory(const Settings& settings, const LoadPlan& plan);

// What serves it, listening on `socket_path`. Errors: the same.
Result<LoneServerSpec> MakeServerSpec(const Settings& settings, const LoadPlan& plan, const std::string& socket_path);

}  // namespace headrace::serve
