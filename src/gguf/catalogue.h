// The catalogue of a GGUF model: which tensor lies where, read from the headers without touching a
// weight. Built for hostile input: a file may claim anything.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 1 to 3).
// Values and pure functions; thread-compatible.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace headrace {

struct TensorEntry {
  std::string name;                 // 1 to 63 bytes, no control characters
  uint32_t type = 0;                // ggml_type; one that LayoutOf does not know is newer than this library
  std::array<uint64_t, 4> shape{};  // elements per dimension, ggml order (shape[0] is a row), none 0;
                                    // unused are 1
  uint32_t file = 0;                // index into Catalogue::files
  uint64_t offset = 0;              // bytes from the start of that file; all bytes lie in the file
  uint64_t bytes = 0;  // at least one for each row; of a type that LayoutOf does not know, all up to the next tensor or
                       // the end of the file: padding counts
  int layer = -1;      // N of "blk.N.", -1 outside the layers

  bool type_known() const;
  uint64_t row_bytes() const { return rows() == 0 ? 0 : bytes / rows(); }
  uint64_t rows() const { return shape[1] * shape[2] * shape[3]; }
  // A weight that MUL_MAT_ID chooses experts from: "..._exps.weight" or "..._chexps.weight", shape[2]
  // experts. Not so the biases of experts.
  bool is_expert() const;
};

struct CatalogueFile {
  std::string path;
  uint64_t bytes = 0;
};

struct Catalogue {
  uint32_t version = 0;
  std::vector<CatalogueFile> files;  // one, or the parts of a split model in order
  std::vector<TensorEntry> tensors;  // by file, then offset; names are unique, bytes never overlap
  std::string architecture;          // general.architecture, "" when absent
  std::string name;                  // general.name, "" when absent. Both: at most 1024 bytes, control
                                     // characters as "?"
  uint64_t context_length = 0;       // <arch>.context_length and so on: 0 when absent or no integer,
                                     // the largest where the file has one for each layer
  uint64_t embedding_length = 0;
  uint64_t layers = 0;
  uint64_t heads = 0;
  uint64_t heads_kv = 0;
  uint64_t key_length = 0;  // of one head
  uint64_t value_length = 0;
  uint64_t head_blocks =
      0;  // of a draft head (multi-token prediction), the last ones of `layers`; the tensors may be missing
  uint64_t experts = 0;
  uint64_t experts_used = 0;
  uint64_t pooling = 0;     // llama_pooling_type of an embedding model; 0: none, it writes text
  uint64_t vocabulary = 0;  // number of tokenizer.ggml.tokens
  bool has_chat_template = false;

  uint64_t weight_bytes() const;                   // of all tensors
  uint64_t parameters() const;                     // elements of all tensors
  std::string dominant_type() const;               // name of the type that holds most bytes, for instance "Q4_0";
                                                   // "" without tensors
  std::vector<std::string> unknown_types() const;  // names of the types that LayoutOf does not know, each once
};

// Reads the headers of a GGUF file. For any part of a split model ("-00001-of-00003.gguf") the whole
// model is read. Errors, each one line with the path and what to do: kNotFound (the file, or a part of a
// split model), kPermission, kInvalidArgument (a directory, not GGUF, a part under another name), kCorrupt
// (truncated, overlapping, out of the file, overflowing, parts that do not belong together), kUnsupported
// (unknown version, a tensor type that llama.cpp has given up or that no ggml is near to have, big-endian, array of
// arrays), kIo, kChanged (shrank meanwhile). Time and memory are bounded by the header's real size, never by what it
// claims, and a header may have at most 256 MiB, 65536 keys and 262144 tensors.
Result<Catalogue> ReadCatalogue(const std::string& path);

// The name of a ggml_type, "type 99" when unknown.
std::string TypeName(uint32_t type);

// Elements in one block of a type and its bytes; {0, 0} when unknown.
struct TypeLayout {
  uint32_t block_elements = 0;
  uint32_t block_bytes = 0;
};
TypeLayout LayoutOf(uint32_t type);

// Whether a type that is not known here may be one of a newer ggml.
bool MayBeNewer(uint32_t type);

}  // namespace headrace
