// Shell completion scripts, made from the parser itself so that they never miss an option.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace headrace::cli {

std::string BashCompletion(const CLI::App& app);
std::string ZshCompletion(const CLI::App& app);
std::string FishCompletion(const CLI::App& app);

}  // namespace headrace::cli
