// How the engine loads a model's file. Weights stream through its mapping; every other way copies all of them into memory.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"

namespace headrace::cli {

// What asks for another way than a mapping, in the user's words ("--load-mode none", "LLAMA_ARG_LOAD_MODE=dio"); "" when nothing
// does. Of the arguments the last counts, and they go before the environment. Pure.
std::string UnmappedBy(const std::vector<std::string>& arguments, const Getenv& getenv);

// The arguments with a mapping instead. Pure.
std::vector<std::string> Mapped(std::vector<std::string> arguments);

// The line that says so; "" when nothing is changed.
std::string MappedLine(const std::string& unmapped_by);

// Of a model that streams: that line on standard error, if anything of the user's arguments or the environment is changed.
void SayMapped(const std::vector<std::string>& rest);

inline constexpr const char* kLoadModeVariable = "LLAMA_ARG_LOAD_MODE";
inline constexpr const char* kMappedMode = "mmap";

}  // namespace headrace::cli
