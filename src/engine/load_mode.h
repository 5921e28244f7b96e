// How the engine loads a model's file. Weights stream through its mapping; every other way copies all of them into
// memory, or locks them there. Each of llama.cpp's releases has its own options and variables for that.
#pragma once

#include <string>
#include <string_view>

#include "base/config.h"
#include "engine/arguments.h"

namespace headrace::cli {

// What asks for another way than a mapping, in the user's words ("--load-mode none", "LLAMA_ARG_LOAD_MODE=dio"); ""
// when nothing does. Of the arguments the last counts, and they go before the environment. Pure.
std::string UnmappedBy(const EngineArguments& arguments, const Getenv& getenv);

// The arguments with a mapping instead. Pure.
EngineArguments Mapped(const EngineArguments& arguments);

// The first line of a file of models' settings (--models-preset) that asks for another way; "" when none does. Pure.
std::string UnmappedInPreset(std::string_view text);

// The line that says so; "" when nothing is changed.
std::string MappedLine(const std::string& unmapped_by);

// Of a model that streams: that line on standard error, if anything of the user's arguments or the environment is
// changed.
void SayMapped(const EngineArguments& rest);

// Whether this variable is about it.
bool IsLoadVariable(std::string_view name);

inline constexpr const char* kLoadModeVariable = "LLAMA_ARG_LOAD_MODE";
inline constexpr const char* kMappedMode = "mmap";

}  // namespace headrace::cli
