// Variables in the environment that llama.cpp's programs take for options (LLAMA_ARG_CTX_SIZE=8192): somebody set them
// for another purpose, or for this one. They count as the options would, or are left out with a line; none gets past
// us.
#pragma once

#include <string>
#include <vector>

#include "engine/arguments.h"
#include "engine/engine_probe.h"
#include "process/process_start.h"

namespace headrace::cli {

// Takes them out of this process's environment, so that no program that is started here sees them. Before there are
// threads.
Environment TakeEngineVariables();

struct VariableChoice {
  EngineArguments arguments;       // the options that the others stand for
  std::vector<std::string> lines;  // what counts and what is left out, for people
};

// `known` are the options of the program that runs. Left out is what it does not know, what no variable decides (the
// model, where a server listens, the log) or `ours` lists, and what `said` says already. Pure.
VariableChoice ChooseVariables(const Environment& variables, const OptionNames& known, const EngineArguments& said,
                               const OptionIds& ours);

// All of them as options, as the program itself reads them: for one that gets them unchanged. Pure.
EngineArguments VariablesAsOptions(const Environment& variables, const OptionNames& known);

}  // namespace headrace::cli
