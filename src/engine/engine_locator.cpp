#include "engine/engine_locator.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include <fmt/format.h>

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;

// Any of these makes a folder an engine's: older releases have no llama-completion, some packages
// ship the server alone.
constexpr const char* kPrograms[] = {"llama-completion", "llama-cli", "llama-server", "llama-bench"};
// How far above the binary a build or source tree is looked for (build/release/src/headrace).
constexpr int kLevelsUp = 4;

bool IsProgram(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool HasEngine(const fs::path& bin_dir) {
  return std::any_of(std::begin(kPrograms), std::end(kPrograms),
                     [&](const char* name) { return IsProgram(bin_dir / name); });
}

// The folder of programs in a prefix, a build folder, or the folder itself.
std::optional<fs::path> BinDir(const fs::path& prefix) {
  for (const char* sub : {"usr/bin", "bin", "usr/local/bin", "."}) {
    const fs::path dir = (prefix / sub).lexically_normal();
    if (HasEngine(dir)) return dir;
  }
  return std::nullopt;
}

std::vector<fs::path> PathFolders(const std::string& path) {
  std::vector<fs::path> folders;
  std::stringstream stream(path);
  for (std::string folder; std::getline(stream, folder, ':');) folders.emplace_back(folder.empty() ? "." : folder);
  return folders;
}

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// A file of headrace's own: as it is installed, below ../share/headrace of the binary, or in the source tree around it.
std::optional<std::string> LocateOwn(const SearchPaths& paths, const std::string& installed,
                                     const std::string& in_tree) {
  const fs::path binary_dir = paths.binary_dir;
  if (const fs::path path = binary_dir.parent_path() / "share/headrace" / installed; IsFile(path)) return path.string();
  fs::path above = binary_dir;
  for (int i = 0; i < kLevelsUp && !above.empty() && above != above.root_path(); ++i, above = above.parent_path()) {
    if (IsFile(above / in_tree)) return (above / in_tree).string();
  }
  return std::nullopt;
}

}  // namespace

SearchPaths SystemSearchPaths(const std::string& engine_option) {
  SearchPaths paths;
  paths.engine_option = engine_option;
  paths.library_option = FromEnvironment("HEADRACE_LIBRARY");
  paths.data_home = FromEnvironment("XDG_DATA_HOME");
  const std::string home = FromEnvironment("HOME");
  if (paths.data_home.empty() && !home.empty()) paths.data_home = home + "/.local/share";
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (!error) paths.binary_dir = self.parent_path().string();
  paths.path = FromEnvironment("PATH");
  return paths;
}

std::string PrivatePrefix(const SearchPaths& paths) {
  return paths.data_home.empty() ? "" : paths.data_home + "/headrace/engine";
}

Result<Engine> LocateEngine(const SearchPaths& paths) {
  if (!paths.engine_option.empty()) {
    if (const auto dir = BinDir(paths.engine_option))
      return Engine{fs::absolute(*dir).string(), "--engine or HEADRACE_ENGINE"};
    return Status(Code::kNotFound, fmt::format("no llama.cpp in {}; name the folder that holds bin/llama-cli, or run "
                                               "`headrace engine install`",
                                               paths.engine_option));
  }
  if (const std::string prefix = PrivatePrefix(paths); !prefix.empty()) {
    if (const auto dir = BinDir(prefix)) return Engine{dir->string(), "private prefix"};
  }
  fs::path above = paths.binary_dir;
  for (int i = 0; i < kLevelsUp && !above.empty() && above != above.root_path(); ++i, above = above.parent_path()) {
    if (!HasEngine(above / "engine/usr/bin")) continue;
    return Engine{(above / "engine/usr/bin").string(), "build tree"};
  }
  for (const fs::path& folder : PathFolders(paths.path)) {
    if (HasEngine(folder)) return Engine{fs::absolute(folder).lexically_normal().string(), "PATH"};
  }
  return Status(Code::kNotFound,
                "no llama.cpp found; run `headrace engine install`, or name one that is installed with --engine DIR");
}

Result<std::string> LocateProgram(const std::string& name, const Engine* engine, const SearchPaths& paths) {
  if (name.empty()) return Status(Code::kNotFound, "the program's name is empty; name a program to start");
  if (name.find('/') != std::string::npos) {
    std::error_code error;
    if (fs::exists(name, error)) return name;
    return Status(Code::kNotFound, fmt::format("{}: no such program; check the path", name));
  }
  if (engine != nullptr && IsProgram(fs::path(engine->bin_dir) / name)) {
    return (fs::path(engine->bin_dir) / name).string();
  }
  for (const fs::path& folder : PathFolders(paths.path)) {
    if (IsProgram(folder / name)) return (folder / name).string();
  }
  return Status(Code::kNotFound,
                fmt::format("{}: no such program in {}PATH; check the name{}", name,
                            engine == nullptr ? "" : fmt::format("the engine ({}) or ", engine->bin_dir),
                            engine == nullptr ? " or run `headrace engine install`" : ""));
}

namespace {

// As LD_PRELOAD takes it.
Result<std::string> Preloadable(const fs::path& path) {
  const std::string text = fs::absolute(path).lexically_normal().string();
  if (text.find_first_of(": \t\n") == std::string::npos) return text;
  return Status(
      Code::kUnsupported,
      fmt::format("LD_PRELOAD cannot hold the path {}: move headrace to a folder without blanks or colons", text));
}

Result<std::string> LocatePreloaded(const SearchPaths& paths, std::initializer_list<const char*> names) {
  std::vector<fs::path> folders;
  const fs::path binary_dir = paths.binary_dir;
  folders.push_back(binary_dir);
  std::error_code error;
  // lib, lib64, lib/x86_64-linux-gnu: whatever CMake's GNUInstallDirs chose.
  for (const auto& entry : fs::directory_iterator(binary_dir.parent_path(), error)) {
    if (!entry.path().filename().string().starts_with("lib") || !entry.is_directory(error)) continue;
    folders.push_back(entry.path());
    for (const auto& inner : fs::directory_iterator(entry.path(), error)) {
      if (inner.path().filename().string().find("-linux") != std::string::npos) folders.push_back(inner.path());
    }
  }
  for (const fs::path& folder : folders) {
    for (const char* name : names) {
      for (const fs::path& path : {folder / name, folder / "headrace" / name}) {
        if (IsFile(path)) return Preloadable(path);
      }
    }
  }
  return Status(Code::kNotFound, fmt::format("{} is neither beside {} nor in ../lib; install headrace again",
                                             *(names.end() - 1), paths.binary_dir + "/headrace"));
}

}  // namespace

Result<std::string> LocateLibrary(const SearchPaths& paths) {
  if (paths.library_option.empty()) {
    auto found = LocatePreloaded(paths, {"libheadrace.so.0", "libheadrace.so"});
    if (found.ok() || found.status().code() != Code::kNotFound) return found;
    return Status(Code::kNotFound, found.status().message() + " or set HEADRACE_LIBRARY");
  }
  if (IsFile(paths.library_option)) return Preloadable(paths.library_option);
  return Status(Code::kNotFound,
                fmt::format("HEADRACE_LIBRARY={}: no such file; unset it or correct it", paths.library_option));
}

Result<std::string> LocateWorkerLibrary(const SearchPaths& paths) {
  return LocatePreloaded(paths, {"libheadrace-worker.so"});
}

Result<std::string> LocateInstaller(const SearchPaths& paths) {
  if (auto found = LocateOwn(paths, "install-engine.sh", "scripts/install-engine.sh")) return *found;
  return Status(Code::kNotFound,
                "install-engine.sh is missing; install headrace again, or install llama.cpp yourself "
                "and name it with --engine DIR");
}

Result<std::string> LocateBundledModel(const std::string& name, const SearchPaths& paths) {
  if (auto found = LocateOwn(paths, "models/" + name, "models/" + name)) return *found;
  return Status(Code::kNotFound,
                fmt::format("the model {}, which comes with headrace, is missing; install headrace again", name));
}

}  // namespace headrace::cli
