// Models by the names that `headrace list` shows, wherever the command takes a file.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "engine/arguments.h"

namespace CLI {
class Option;
}

namespace headrace::cli {

// Whether this means a file: one that is there, or a text that is written like a path.
bool IsPathOfModel(const std::string& text);

// The path of the model that `text` means; a path as it is, whether there is such a file or not. Errors: those of
// FindByName.
Result<std::string> ResolveModel(const std::string& text);

// What is given to this option may be a name. Returns the option.
CLI::Option* TakesModel(CLI::Option* option);

// The arguments of one of llama.cpp's programs with paths for names behind -m, --model, -md and --model-draft. A name
// that means no model stays: the program tells of it.
EngineArguments WithModelPaths(const EngineArguments& arguments);

}  // namespace headrace::cli
