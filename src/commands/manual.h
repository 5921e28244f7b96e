// Manual pages, made from the parser itself so that they say what --help says.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace headrace::cli {

struct ManualPage {
  std::string name;  // "headrace", "headrace-run"
  std::string text;  // in the macros of man(7)
};

// Of the command as a whole, then of each subcommand, those below it included.
std::vector<ManualPage> ManualPages(const CLI::App& app);

}  // namespace headrace::cli
