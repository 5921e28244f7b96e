// One model file.
#include "fuzz.h"
#include "gguf/catalogue.h"

using namespace headrace;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto catalogue = ReadCatalogue(fuzz::WriteFile("model.gguf", fuzz::Text(data, size)));
  if (!catalogue.ok()) {
    fuzz::RequireOneLine(catalogue.status().message());
    return 0;
  }
  uint64_t end = 0;
  for (const TensorEntry& tensor : catalogue->tensors) {
    fuzz::Require(tensor.offset >= end && tensor.bytes <= size && tensor.offset <= size - tensor.bytes,
                  "a tensor lies outside of its file");
    end = tensor.offset + tensor.bytes;
    fuzz::Require(tensor.rows() > 0, "a tensor has no rows");
    fuzz::Require(tensor.row_bytes() > 0, "a row has no bytes");
  }
  (void)catalogue->dominant_type();
  (void)catalogue->unknown_types();
  (void)catalogue->parameters();
  return 0;
}
