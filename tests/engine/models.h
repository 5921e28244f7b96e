// The models that the engine tests need beyond the bundled ones: made by the engine's own programs when a
// test first asks, and kept in the build directory. Safe when several test processes ask at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace headrace::testing {

struct ModelFile {
  std::string path;   // "" when it could not be made
  std::string error;  // then: why
};

// models/NAME of the source tree; NAME itself when it is an absolute path.
std::string BundledModel(const std::string& name);

// source (a bundled model's name, or a path) quantized to one of llama-quantize's types, all tensors alike (--pure).
// Types below about 3 bits get an importance matrix of the source, computed from a text file of the tree.
ModelFile QuantizedModel(const std::string& source, const std::string& type);

// The same with the types that llama-quantize itself mixes for it.
ModelFile MixedModel(const std::string& source, const std::string& type);

// The tiny models that upstream's test-llama-archs writes, one or two for each architecture, sorted by
// name. Empty with *error set when the test programs are not installed or fail.
std::vector<std::string> ArchitectureModels(std::string* error);

// A folder of this test process in the build directory, emptied at first use and removed at exit unless a
// test failed.
const std::string& WorkDirectory();

uint64_t FileBytes(const std::string& path);  // 0 when there is none

// A program of the engine's, "" when it is not installed; and its loader, "" when the system's serves.
std::string EngineProgram(const std::string& name);

}  // namespace headrace::testing
