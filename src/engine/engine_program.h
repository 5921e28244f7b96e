// Which of llama.cpp's programs a command line starts. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace headrace::cli {

enum class ProgramKind {
  kServer,     // llama-server
  kGenerator,  // another whose context is what -c says, or the model's own
  kEngine,     // another of llama.cpp's
  kOther,
};

struct EngineProgram {
  ProgramKind kind = ProgramKind::kOther;
  size_t command_words = 0;  // before its own arguments: 1 in "llama serve"

  bool generates() const { return kind == ProgramKind::kServer || kind == ProgramKind::kGenerator; }
};

// `path` of the program, and what it is given. llama.cpp's one program for all, `llama`, is the one that its first
// argument names.
EngineProgram RecognizeProgram(const std::string& path, const std::vector<std::string>& arguments);

}  // namespace headrace::cli
