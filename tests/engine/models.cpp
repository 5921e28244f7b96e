#include "models.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/descriptor.h"
#include "child.h"

namespace headrace::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCache = HEADRACE_TEST_CACHE;

// Holds the lock of the model cache while it lives: one process makes a model, the others wait for it.
Descriptor LockCache() {
  std::error_code ignored;
  fs::create_directories(kCache, ignored);
  Descriptor lock(open((std::string(kCache) + "/lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644));
  if (lock.valid()) flock(lock.get(), LOCK_EX);
  return lock;
}

ChildOptions EngineOptions() {
  ChildOptions options;
  // Upstream's programs search their working directory for CPU backends, after the installed folder.
  if (HEADRACE_ENGINE_BACKENDS[0] != '\0') options.directory = HEADRACE_ENGINE_BACKENDS;
  options.timeout = std::chrono::seconds(300);
  return options;
}

// Runs an engine program through the prefix's loader: upstream's tests are installed without a run path.
ChildResult RunEngine(std::vector<std::string> arguments) {
  if (HEADRACE_ENGINE_LOADER[0] != '\0') {
    const std::string lib = HEADRACE_ENGINE_LIB;
    const std::vector<std::string> loader = {HEADRACE_ENGINE_LOADER, "--library-path", lib + ":" + lib + "/llama"};
    arguments.insert(arguments.begin(), loader.begin(), loader.end());
  }
  return RunChild(arguments, EngineOptions());
}

// Whether a cached file exists and is not older than what it was made from.
bool Fresh(const std::string& path, const std::string& source) {
  std::error_code error;
  const auto made = fs::last_write_time(path, error);
  return !error && made >= fs::last_write_time(source, error) && !error;
}

bool NeedsImportance(const std::string& type) {
  return type.starts_with("IQ1") || type.starts_with("IQ2") || type == "IQ3_XXS";
}

ModelFile Importance(const std::string& source) {
  const std::string path = std::string(kCache) + "/" + source + ".imatrix.gguf";
  if (Fresh(path, BundledModel(source))) return {path, ""};
  const ChildResult run =
      RunEngine({EngineProgram("llama-imatrix"), "-m", BundledModel(source), "-f", BundledModel("train.py"), "-c", "64",
                 "--chunks", "20", "-t", "2", "-o", path + ".part"});
  if (!run.Ok()) return {"", run.Describe()};
  fs::rename(path + ".part", path);
  return {path, ""};
}

ModelFile Quantize(const std::string& source, const std::string& type, bool pure) {
  const std::string path =
      std::string(kCache) + "/" + fs::path(source).filename().string() + "." + type + (pure ? "" : ".mixed") + ".gguf";
  const Descriptor lock = LockCache();
  if (Fresh(path, BundledModel(source))) return {path, ""};
  std::vector<std::string> arguments = {EngineProgram("llama-quantize"), "--allow-requantize"};
  if (arguments[0].empty()) return {"", "the engine has no llama-quantize"};
  if (pure) arguments.push_back("--pure");
  if (NeedsImportance(type)) {
    const ModelFile matrix = Importance(source);
    if (matrix.path.empty()) return matrix;
    // The matrix has entries for the layers only.
    arguments.insert(arguments.end(),
                     {"--imatrix", matrix.path, "--token-embedding-type", "q8_0", "--output-tensor-type", "q8_0"});
  }
  arguments.insert(arguments.end(), {BundledModel(source), path + ".part", type});
  const ChildResult run = RunEngine(arguments);
  if (!run.Ok()) return {"", run.Describe()};
  fs::rename(path + ".part", path);
  return {path, ""};
}

struct ScopedWork {
  std::string path;
  ScopedWork() : path(std::string(HEADRACE_TEST_CACHE) + "/work." + std::to_string(getpid())) {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~ScopedWork() {
    std::error_code ignored;
    if (!::testing::UnitTest::GetInstance()->Failed()) fs::remove_all(path, ignored);
  }
};

}  // namespace

std::string BundledModel(const std::string& name) { return fs::path(HEADRACE_MODELS) / name; }

uint64_t FileBytes(const std::string& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  return error ? 0 : bytes;
}

std::string EngineProgram(const std::string& name) {
  for (const char* folder : {HEADRACE_ENGINE_PREFIX "/usr/bin", HEADRACE_ENGINE_PREFIX "/bin",
                             HEADRACE_ENGINE_LIB "/../../libexec/" HEADRACE_ENGINE_TRIPLET "/llama.cpp-tests"}) {
    const std::string path = std::string(folder) + "/" + name;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

ModelFile QuantizedModel(const std::string& source, const std::string& type) { return Quantize(source, type, true); }

ModelFile MixedModel(const std::string& source, const std::string& type) { return Quantize(source, type, false); }

std::vector<std::string> ArchitectureModels(std::string* error) {
  const fs::path folder = fs::path(kCache) / "architectures";
  const Descriptor lock = LockCache();
  if (!fs::exists(folder)) {
    const std::string program = EngineProgram("test-llama-archs");
    if (program.empty()) {
      *error = "upstream's test-llama-archs is not installed (package llama.cpp-tests)";
      return {};
    }
    const fs::path part = folder.string() + ".part";
    fs::remove_all(part);
    fs::create_directories(part);
    const ChildResult run = RunEngine({program, "--seed", "1", "-o", part.string()});
    if (!run.Ok()) {
      *error = run.Describe();
      return {};
    }
    fs::rename(part, folder);
  }
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".gguf") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  if (paths.empty()) *error = "test-llama-archs wrote no model";
  return paths;
}

const std::string& WorkDirectory() {
  static const ScopedWork work;
  return work.path;
}

}  // namespace headrace::testing
