// Whether llama-server can give one answer as llama-completion would. Pure.
#pragma once

#include <string>
#include <vector>

#include "engine/arguments.h"
#include "engine/engine_probe.h"
#include "models/modelfile.h"

namespace headrace::run {

// Why it cannot: "" when it can. `rest` are the user's arguments for the engine, `defaults` a Modelfile's.
std::string WhyNotServer(const cli::EngineArguments& rest, const std::vector<cli::EngineOption>& defaults,
                         const cli::OptionNames& known);

}  // namespace headrace::run
