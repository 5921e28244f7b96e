// A model of two to four files.
#include <algorithm>

#include <fmt/format.h>

#include "fuzz.h"
#include "gguf/catalogue.h"

using namespace headrace;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto parts = fuzz::Parts(fuzz::Text(data, size));
  const size_t count = std::min<size_t>(parts.size(), 4);
  std::string first;
  for (size_t i = 0; i < count; ++i) {
    const std::string path = fuzz::WriteFile(fmt::format("model-{:05}-of-{:05}.gguf", i + 1, count), parts[i]);
    if (i == 0) first = path;
  }
  const auto catalogue = ReadCatalogue(first);
  if (!catalogue.ok()) {
    fuzz::RequireOneLine(catalogue.status().message());
    return 0;
  }
  for (const TensorEntry& tensor : catalogue->tensors) {
    fuzz::Require(tensor.file < catalogue->files.size(), "a tensor's file does not exist");
    const uint64_t bytes = catalogue->files[tensor.file].bytes;
    fuzz::Require(tensor.bytes <= bytes && tensor.offset <= bytes - tensor.bytes, "a tensor lies outside of its file");
  }
  return 0;
}
