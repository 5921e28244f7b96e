// llama.cpp's one program for all (`llama serve`, `llama cli`, ...), which not every package has: its main function,
// over the engine's own programs, which are libraries.
#include <cstdio>
#include <cstdlib>
#include <string>

int llama_server(int count, char** words);
int llama_cli(int count, char** words);
int llama_completion(int count, char** words);
int llama_bench(int count, char** words);
int llama_fit_params(int count, char** words);

namespace {

struct Command {
  const char* name;
  int (*run)(int, char**);
};

constexpr Command kCommands[] = {{"serve", llama_server},
                                 {"cli", llama_cli},
                                 {"completion", llama_completion},
                                 {"bench", llama_bench},
                                 {"fit-params", llama_fit_params}};

}  // namespace

int main(int count, char** words) {
  const std::string name = count > 1 ? words[1] : "";
  for (const Command& command : kCommands) {
    if (name != command.name) continue;
    // A server that starts itself again for each model says this word again.
    setenv("LLAMA_APP_CMD", command.name, 1);
    return command.run(count - 1, words + 1);
  }
  std::fprintf(stderr, "error: unknown command '%s'\n", name.c_str());
  return 1;
}
