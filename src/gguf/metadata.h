// The key-value pairs at the front of a GGUF file: the few that headrace uses are kept, the others, above
// all the token arrays unless they are asked for, are passed over.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/status.h"
#include "gguf/header_cursor.h"
#include "gguf/vocabulary.h"

namespace headrace {

struct Metadata {
  std::string architecture;
  std::string name;
  uint64_t alignment = 32;  // of tensor offsets, a power of two
  uint64_t vocabulary = 0;
  bool has_chat_template = false;
  std::optional<uint64_t> split_no;         // from 0
  std::optional<uint64_t> split_count;      // parts
  std::optional<uint64_t> split_tensors;    // of all parts together
  std::map<std::string, uint64_t> numbers;  // the keys of kModelKeys with their architecture before them

  // "<architecture>.<key>", 0 when absent.
  uint64_t Number(const std::string& key) const;
};

// Reads count pairs at the cursor. Errors: the cursor's, kCorrupt (impossible counts, an empty or a
// repeated key, an alignment that is no power of two), kUnsupported (an unknown value type, an array of
// arrays), each with the path. `vocabulary` is filled unless null.
Result<Metadata> ReadMetadata(HeaderCursor& cursor, uint64_t count, Vocabulary* vocabulary = nullptr);

}  // namespace headrace
