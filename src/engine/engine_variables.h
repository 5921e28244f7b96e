// Variables in the environment that llama.cpp's programs take for options (LLAMA_ARG_CTX_SIZE=8192): somebody set them
// for another purpose, or for this one. They count as the options would, or are left out with a line; none gets past
// us.
#pragma once

#include <string>
#include <vector>

#include "engine/engine_probe.h"
#include "process/process_start.h"

namespace headrace::cli {

// Takes them out of this process's environment, so that no program that is started here sees them. Before there are
// threads.
Environment TakeEngineVariables();

struct VariableChoice {
  std::vector<std::string> arguments;  // the options that the others stand for
  std::vector<std::string> lines;      // what counts and what is left out, for people
};

// `known` are the options of the program that runs. Left out is what it does not know, what no variable decides (the
// model, where a server listens, the log) or `ours` (option names) lists, and what one of `said` (option names among
// other words) says already. Pure.
VariableChoice ChooseVariables(const Environment& variables, const OptionNames& known,
                               const std::vector<std::string>& said, const std::vector<std::string>& ours);

// All of them as options, as the program itself reads them: for one that gets them unchanged. Pure.
std::vector<std::string> VariablesAsOptions(const Environment& variables, const OptionNames& known);

// Options with which one answer, or a batch, would not be what it is.
std::vector<std::string> ServerModeOptions();

}  // namespace headrace::cli
