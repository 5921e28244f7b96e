// The table of tensors that follows the metadata of a GGUF file.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "gguf/catalogue.h"
#include "gguf/header_cursor.h"

namespace headrace {

// Reads count tensors at the cursor, which is left behind the table, and places them in the file: entries
// come back sorted by offset, every one inside the file and beside the others (TensorEntry::file is 0).
// alignment is a power of two. Errors: the cursor's, kCorrupt, kUnsupported (a type that no newer ggml can have),
// each with the path and the tensor.
Result<std::vector<TensorEntry>> ReadTensorTable(HeaderCursor& cursor, uint64_t count, uint64_t alignment);

}  // namespace headrace
