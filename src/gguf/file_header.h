// The header of one GGUF file, which may be a part of a split model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "gguf/catalogue.h"
#include "gguf/metadata.h"

namespace headrace {

struct FileHeader {
  uint32_t version = 0;
  uint64_t file_bytes = 0;
  Metadata metadata;
  std::vector<TensorEntry> tensors;  // sorted by offset; their file is 0
};

// Reads the header of this one file, and the vocabulary unless null. Errors: as ReadCatalogue.
Result<FileHeader> ReadFileHeader(const std::string& path, Vocabulary* vocabulary = nullptr);

}  // namespace headrace
