// The repacked kernels: which interleaved layout stock llama.cpp would copy a weight into, and the
// conversion of single tiles into it.
//
// Stock asks the CPU device's extra buffer types in order and takes the first that supports a product
// with the weight. The same public functions answer the same question here; a buffer of a few bytes
// stands for the type, since the memory is ours.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "exec/ggml_api.h"
#include "exec/pack_moves.h"

namespace headrace {

// Of rows of one type and length. Immutable.
struct PackedLayout {
  ggml_backend_buffer_t buffer = nullptr;  // stands for the engine's buffer type
  uint64_t row_bytes = 0;          // of a row within whole row groups; AMX tiles of some types need more than the file
  std::optional<PackMoves> moves;  // the conversion, where it can be had so; else it is the engine's
};

// Thread-compatible; one owner, who outlives the layouts' users.
class PackedLayouts {
 public:
  // Those of the CPU device; empty when it has none, or the engine's functions for them are missing.
  explicit PackedLayouts(const GgmlApi& api);
  ~PackedLayouts();
  PackedLayouts(const PackedLayouts&) = delete;
  PackedLayouts& operator=(const PackedLayouts&) = delete;

  // The layout stock would use for this weight of a MUL_MAT, or MUL_MAT_ID when it holds experts; null when it has
  // none, or one that is left out: whose bytes are not the same for each row group, or not the file's where the weight
  // is experts or several matrices.
  const PackedLayout* Choose(const ggml_tensor& weight, bool experts);

 private:
  uint64_t RowBytes(const ggml_tensor& weight, bool experts, ggml_backend_buffer_t buffer) const;
  const PackedLayout* Find(const ggml_tensor& weight, ggml_backend_buffer_t buffer, uint64_t row_bytes);

  const GgmlApi& api_;
  ggml_backend_dev_t device_ = nullptr;
  struct Type {
    ggml_backend_buffer_t buffer = nullptr;
    bool experts = false;  // its kernels can multiply them
  };
  std::vector<Type> types_;
  std::map<std::tuple<ggml_backend_buffer_t, ggml_type, int64_t>, PackedLayout> layouts_;  // by type and length of rows
};

// A 2-D tensor with some rows of `weight`, its data at `data`: in the file's layout when `packed` is null,
// else bound to that layout, whose kernels then multiply it.
ggml_tensor TileOf(const GgmlApi& api, const ggml_tensor& weight, int64_t rows, void* data, const PackedLayout* packed);

// Converts `rows` rows (a multiple of kRowGroup, or the weight's last) from the file's layout: by moves where they are
// known; or by the engine in any case.
void PackRows(const GgmlApi& api, const ggml_tensor& weight, int64_t rows, const void* from, void* to,
              const PackedLayout& layout);
void PackRowsByEngine(const GgmlApi& api, const ggml_tensor& weight, int64_t rows, const void* from, void* to,
                      const PackedLayout& layout);

}  // namespace headrace
