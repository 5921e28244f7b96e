// Which model one of llama.cpp's programs will load, and whether it is here.
#pragma once

#include <string>

#include "engine/arguments.h"
#include "engine/engine_program.h"
#include "setup/download_cache.h"

namespace headrace::cli {

struct ModelSource {
  std::string model;          // path, "" when there is none or it is not known
  EngineArguments arguments;  // that name the downloaded files, to be put behind the others
  bool downloaded = false;    // by llama.cpp, which may take a newer file than this
  bool router = false;        // a server that starts a process for each model that it is asked for
  std::string unknown;        // why what it will load is not known, "" when it is, or when nothing will be loaded
};

// `arguments` are all that count, with the options that variables stand for first.
ModelSource FindModelSource(ProgramKind kind, const EngineArguments& arguments, const DownloadCache& cache);

}  // namespace headrace::cli
