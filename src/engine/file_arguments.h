// Files that the engine's arguments name: draft models, projectors, adapters. A pipe would hang it, a folder or half a
// file would end it with words that help nobody.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/arguments.h"

namespace headrace::cli {

// Each is a whole GGUF file, as far as its header tells. Errors: those of ReadFileHeader, with the option before them.
Status CheckFileArguments(const EngineArguments& arguments);

// The files of LoRA adapters and control vectors: parted by commas, "quoted" where they hold one, some with ":SCALE"
// behind them. Pure.
std::vector<std::string> AdapterFiles(const EngineArguments& arguments);

// The engine's lists are parted by commas, and a field that holds one is quoted. Pure.
std::vector<std::string> ListFields(std::string_view list);
// `field` as one of such a list.
std::string ListField(const std::string& field);

}  // namespace headrace::cli
