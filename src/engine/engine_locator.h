// Finds llama.cpp's programs, and headrace's own library and scripts, on this machine.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace headrace::cli {

// Where to look; empty fields are skipped. Separate from the process's environment so that tests can
// describe a machine.
struct SearchPaths {
  std::string engine_option;   // --engine DIR, or HEADRACE_ENGINE
  std::string library_option;  // HEADRACE_LIBRARY
  std::string data_home;       // $XDG_DATA_HOME or ~/.local/share
  std::string binary_dir;      // the folder of the running headrace
  std::string path;            // $PATH
};
SearchPaths SystemSearchPaths(const std::string& engine_option);

struct Engine {
  std::string bin_dir;  // where its programs are
  std::string origin;   // which rule found it, for people: "--engine", "private prefix", ...
};

// In this order: the option, the private prefix (data_home/headrace/engine), the build tree that the binary
// lies in (build/engine beside build/release), PATH. An option that names no engine is an error, not a
// reason to look further. Errors: kNotFound, saying what to do.
Result<Engine> LocateEngine(const SearchPaths& paths);

// The private prefix that `headrace engine install` fills.
std::string PrivatePrefix(const SearchPaths& paths);

// A program by name: with a slash the path itself, else the engine's, else PATH. kNotFound naming it.
Result<std::string> LocateProgram(const std::string& name, const Engine* engine, const SearchPaths& paths);

// libheadrace.so: the option, beside the binary, ../lib*/ of it. kNotFound, or kUnsupported when its path
// holds a blank or a colon, which LD_PRELOAD cannot carry.
Result<std::string> LocateLibrary(const SearchPaths& paths);

// libheadrace-worker.so, which makes a worker of a program of the engine; found as that one is. The same errors.
Result<std::string> LocateWorkerLibrary(const SearchPaths& paths);

// install-engine.sh: in ../share/headrace of the binary, or in scripts/ of the source tree around it.
Result<std::string> LocateInstaller(const SearchPaths& paths);

// A small model that comes with headrace: in ../share/headrace/models of the binary, or in models/ of the source tree
// around it. kNotFound.
Result<std::string> LocateBundledModel(const std::string& name, const SearchPaths& paths);

}  // namespace headrace::cli
