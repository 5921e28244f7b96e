#include "exec/packed_layout.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/log.h"
#include "plan/residency.h"

namespace headrace {
namespace {

// Enough for the conversion to show: kernels interleave up to 16 rows.
constexpr int64_t kProbeRows = 32;

// The buffer type's name in engines whose packed kernels ask for less memory than they need with experts, and then end
// the process (llama.cpp's issue 11476). Later ones name it CPU_REPACK.
constexpr const char* kUnfitForExperts = "CPU_AARCH64";

}  // namespace

PackedLayouts::PackedLayouts(const GgmlApi& api) : api_(api) {
  if (!api.no_packing.empty()) return;
  device_ = api.backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (device_ == nullptr) return;
  const auto extra_buffer_types = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
      api.backend_reg_get_proc_address(api.backend_dev_backend_reg(device_), "ggml_backend_dev_get_extra_bufts"));
  if (extra_buffer_types == nullptr) return;
  for (ggml_backend_buffer_type_t* type = extra_buffer_types(device_); type != nullptr && *type != nullptr; ++type) {
    if (ggml_backend_buffer_t buffer = api.backend_buft_alloc_buffer(*type, 64))
      types_.push_back({buffer, std::strcmp(api.backend_buft_name(*type), kUnfitForExperts) != 0});
  }
}

PackedLayouts::~PackedLayouts() {
  for (const Type& type : types_) api_.backend_buffer_free(type.buffer);
}

const PackedLayout* PackedLayouts::Choose(const ggml_tensor& weight, bool experts) {
  // The question that llama.cpp's loader asks: a product with a batch of 512 columns.
  ggml_tensor columns{}, ids{};
  columns.type = GGML_TYPE_F32;
  columns.ne[0] = weight.ne[0];
  columns.ne[1] = experts ? 1 : 512;
  columns.ne[2] = experts ? 512 : weight.ne[2];
  columns.ne[3] = weight.ne[3];
  ids.type = GGML_TYPE_I32;
  ids.ne[0] = ids.ne[2] = ids.ne[3] = 1;
  ids.ne[1] = 512;
  columns.nb[0] = sizeof(float);
  for (int i = 1; i < GGML_MAX_DIMS; ++i) columns.nb[i] = columns.nb[i - 1] * static_cast<size_t>(columns.ne[i - 1]);
  for (const auto& [buffer, fit_for_experts] : types_) {
    if (experts && !fit_for_experts) continue;
    ggml_tensor candidate = weight;
    candidate.buffer = buffer;
    candidate.view_src = nullptr;
    candidate.extra = nullptr;
    ggml_tensor product{};
    product.type = GGML_TYPE_F32;
    product.op = experts ? api_.op.mul_mat_id : api_.op.mul_mat;
    product.src[0] = &candidate;
    product.src[1] = &columns;
    product.src[2] = experts ? &ids : nullptr;
    product.ne[0] = weight.ne[1];
    product.ne[1] = columns.ne[1];
    product.ne[2] = experts ? columns.ne[2] : 1;
    product.ne[3] = 1;
    if (!api_.backend_dev_supports_op(device_, &product)) continue;
    const uint64_t row_bytes = RowBytes(weight, experts, buffer);
    return row_bytes != 0 ? Find(weight, buffer, row_bytes) : nullptr;
  }
  return nullptr;
}

// 0: it cannot be cut by rows.
uint64_t PackedLayouts::RowBytes(const ggml_tensor& weight, bool experts, ggml_backend_buffer_t buffer) const {
  const PackedLayout engines{buffer, 0, std::nullopt};
  const auto bytes_of = [&](int64_t rows) -> uint64_t {
    const ggml_tensor bound = TileOf(api_, weight, rows, nullptr, &engines);
    return bound.extra == nullptr ? 0 : api_.backend_buffer_get_alloc_size(buffer, &bound);
  };
  const auto rows = static_cast<uint64_t>(weight.ne[1]);
  const uint64_t bytes = bytes_of(weight.ne[1]);
  if (bytes == rows * weight.nb[1]) return weight.nb[1];
  // Slots for experts, and stacks of matrices, are as large as in the file.
  if (experts || weight.ne[2] != 1 || weight.ne[3] != 1 || bytes % rows != 0) return 0;
  for (const uint64_t group : {kRowGroup, 2 * kRowGroup}) {
    if (bytes_of(static_cast<int64_t>(group)) != group * (bytes / rows)) return 0;
  }
  return bytes / rows;
}

const PackedLayout* PackedLayouts::Find(const ggml_tensor& weight, ggml_backend_buffer_t buffer, uint64_t row_bytes) {
  const auto [found, added] =
      layouts_.try_emplace({buffer, weight.type, weight.ne[0]}, PackedLayout{buffer, row_bytes, std::nullopt});
  PackedLayout& layout = found->second;
  // What computes (a layout of another size has something beside the moved bytes) is the engine's work.
  if (!added || row_bytes != weight.nb[1]) return &layout;
  const int64_t rows = std::min(kProbeRows, weight.ne[1]);
  layout.moves = PackMoves::Find(
      static_cast<size_t>(rows), weight.nb[1], weight.nb[0],
      [&](const uint8_t* from, uint8_t* to) { PackRowsByEngine(api_, weight, rows, from, to, layout); });
  LogDebug(fmt::format("{}, rows of {} numbers: repacked by {}", api_.type_name(weight.type), weight.ne[0],
                       layout.moves ? "moves" : "the engine"));
  return &layout;
}

ggml_tensor TileOf(const GgmlApi& api, const ggml_tensor& weight, int64_t rows, void* data,
                   const PackedLayout* packed) {
  ggml_tensor tile = weight;
  tile.ne[1] = rows;
  tile.ne[2] = tile.ne[3] = 1;
  tile.nb[2] = tile.nb[3] = tile.nb[1] * static_cast<size_t>(rows);
  tile.data = data;
  tile.view_src = nullptr;
  tile.view_offs = 0;
  tile.extra = nullptr;
  if (packed != nullptr) {
    tile.buffer = packed->buffer;
    api.backend_buffer_init_tensor(packed->buffer, &tile);
  }
  return tile;
}

void PackRowsByEngine(const GgmlApi& api, const ggml_tensor& weight, int64_t rows, const void* from, void* to,
                      const PackedLayout& layout) {
  ggml_tensor tile = TileOf(api, weight, rows, to, &layout);
  api.backend_tensor_set(&tile, from, 0, tile.nb[1] * static_cast<size_t>(rows));
}

void PackRows(const GgmlApi& api, const ggml_tensor& weight, int64_t rows, const void* from, void* to,
              const PackedLayout& layout) {
  if (!layout.moves || static_cast<size_t>(rows) % layout.moves->group_rows() != 0)
    return PackRowsByEngine(api, weight, rows, from, to, layout);
  layout.moves->Run(static_cast<const uint8_t*>(from), static_cast<uint8_t*>(to), static_cast<size_t>(rows),
                    weight.nb[1]);
}

}  // namespace headrace
