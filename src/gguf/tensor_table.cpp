#include "gguf/tensor_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include "base/size.h"

namespace headrace {
namespace {

constexpr uint64_t kMaxTensors = 262144;
constexpr uint64_t kMaxNameBytes = 63;  // GGML_MAX_NAME less the terminating zero
constexpr uint64_t kMaxElements = std::numeric_limits<int64_t>::max();
constexpr int kMaxLayer = 65535;
constexpr uint64_t kMostElementsPerByte = 64;  // of any type that may come; the smallest known has 7

// N of "blk.N.", -1 otherwise.
int LayerOf(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return -1;
  int layer = 0;
  size_t i = kPrefix.size();
  for (; i < name.size() && name[i] >= '0' && name[i] <= '9'; ++i) {
    layer = layer * 10 + (name[i] - '0');
    if (layer > kMaxLayer) return -1;
  }
  return i > kPrefix.size() && i < name.size() && name[i] == '.' ? layer : -1;
}

Status Damaged(const HeaderCursor& cursor, std::string_view name, std::string_view what) {
  return Status(Code::kCorrupt, fmt::format("{}: damaged: tensor '{}' {}. Fetch the file again.", cursor.path(),
                                            Printable(name), what));
}

Status ReadShape(HeaderCursor& cursor, TensorEntry* tensor) {
  uint32_t dimensions = 0;
  if (!cursor.Read(&dimensions)) return cursor.status();
  if (dimensions > tensor->shape.size()) {
    return Damaged(cursor, tensor->name, fmt::format("has {} dimensions, at most 4 are possible", dimensions));
  }
  tensor->shape.fill(1);
  uint64_t elements = 1;
  for (uint32_t i = 0; i < dimensions; ++i) {
    uint64_t& extent = tensor->shape[i];
    if (!cursor.ReadLength(&extent)) return cursor.status();
    if (extent == 0) return Damaged(cursor, tensor->name, "has a dimension of zero elements");
    if (extent > kMaxElements / elements) {
      return Damaged(cursor, tensor->name, "has more elements than can be counted");
    }
    elements *= extent;
  }
  return {};
}

// Of a type that is not known SetBytesOfNewerTypes does it.
Status SetBytes(const HeaderCursor& cursor, TensorEntry* tensor) {
  const TypeLayout layout = LayoutOf(tensor->type);
  if (MayBeNewer(tensor->type)) return {};
  if (layout.block_elements == 0) {
    return Status(
        Code::kUnsupported,
        fmt::format("{}: tensor '{}' has the unknown {}. The file is damaged, or of a type that llama.cpp has "
                    "given up: get it in another quantization.",
                    cursor.path(), Printable(tensor->name), TypeName(tensor->type)));
  }
  if (tensor->shape[0] % layout.block_elements != 0) {
    return Damaged(cursor, tensor->name,
                   fmt::format("has rows of {} elements, which {} can only have in multiples of {}", tensor->shape[0],
                               TypeName(tensor->type), layout.block_elements));
  }
  const uint64_t blocks = tensor->shape[0] / layout.block_elements * tensor->rows();
  if (blocks > kMaxElements / layout.block_bytes) {
    return Damaged(cursor, tensor->name, "has more bytes than can be counted");
  }
  tensor->bytes = blocks * layout.block_bytes;
  return {};
}

// One row of the table; the offset is still relative to the data.
Status ReadTensor(HeaderCursor& cursor, TensorEntry* tensor) {
  if (!cursor.ReadString(kMaxNameBytes + 1, &tensor->name)) return cursor.status();
  const std::string& name = tensor->name;
  if (name.empty() || name.size() > kMaxNameBytes) {
    return Damaged(cursor, name, fmt::format("has a name that is not 1 to {} bytes long", kMaxNameBytes));
  }
  if (std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    return Damaged(cursor, name, "has control characters in its name");
  }
  HEADRACE_RETURN_IF_ERROR(ReadShape(cursor, tensor));
  if (!cursor.Read(&tensor->type) || !cursor.Read(&tensor->offset)) return cursor.status();
  HEADRACE_RETURN_IF_ERROR(SetBytes(cursor, tensor));
  tensor->layer = LayerOf(name);
  return {};
}

// Makes the offset one of the file and checks that the tensor lies inside it.
Status Place(const HeaderCursor& cursor, uint64_t data_offset, uint64_t alignment, TensorEntry* tensor) {
  if (tensor->offset % alignment != 0) {
    return Damaged(cursor, tensor->name,
                   fmt::format("lies at offset {}, which is no multiple of {}", tensor->offset, alignment));
  }
  // Written as subtractions: no sum here can overflow.
  const uint64_t file_bytes = cursor.file_bytes();
  const bool inside = data_offset <= file_bytes && tensor->offset <= file_bytes - data_offset &&
                      tensor->bytes <= file_bytes - data_offset - tensor->offset;
  if (!inside) {
    return Status(
        Code::kCorrupt,
        fmt::format("{}: truncated: tensor '{}' has {} bytes at offset {} of the data, which begins at {}, "
                    "but the file ends at {}. The download is incomplete: fetch the file again.",
                    cursor.path(), Printable(tensor->name), tensor->bytes, tensor->offset, data_offset, file_bytes));
  }
  tensor->offset += data_offset;
  return {};
}

// `tensors` are sorted by offset, within the file. What lies between two of them belongs to the first.
Status SetBytesOfNewerTypes(const HeaderCursor& cursor, std::vector<TensorEntry>& tensors) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    TensorEntry& tensor = tensors[i];
    if (tensor.type_known()) continue;
    const bool last = i + 1 == tensors.size();
    tensor.bytes = (last ? cursor.file_bytes() : tensors[i + 1].offset) - tensor.offset;
    const uint64_t elements = tensor.shape[0] * tensor.rows();
    if (tensor.rows() <= tensor.bytes && elements / kMostElementsPerByte <= tensor.bytes) continue;
    return Damaged(
        cursor, tensor.name,
        fmt::format("has {} rows of {} elements in the {} bytes before {}", tensor.rows(), tensor.shape[0],
                    tensor.bytes,
                    last ? "the end of the file" : fmt::format("tensor '{}'", Printable(tensors[i + 1].name))));
  }
  return {};
}

}  // namespace

Result<std::vector<TensorEntry>> ReadTensorTable(HeaderCursor& cursor, uint64_t count, uint64_t alignment) {
  cursor.Enter("the table of tensors");
  const uint64_t min_row_bytes = cursor.length_bytes() + 1 + 4 + 4 + 8;
  if (!cursor.Expect(count, min_row_bytes)) return cursor.status();
  if (count > kMaxTensors) {
    return Status(Code::kCorrupt, fmt::format("{}: damaged: it claims {} tensors, at most {} are possible. "
                                              "Fetch the file again.",
                                              cursor.path(), count, kMaxTensors));
  }
  std::vector<TensorEntry> tensors;
  for (uint64_t i = 0; i < count; ++i) {
    TensorEntry tensor;
    HEADRACE_RETURN_IF_ERROR(ReadTensor(cursor, &tensor));
    tensors.push_back(std::move(tensor));
  }

  const uint64_t data_offset = AlignUp(cursor.position(), alignment);
  for (TensorEntry& tensor : tensors) {
    HEADRACE_RETURN_IF_ERROR(Place(cursor, data_offset, alignment, &tensor));
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorEntry& a, const TensorEntry& b) { return a.offset < b.offset; });
  HEADRACE_RETURN_IF_ERROR(SetBytesOfNewerTypes(cursor, tensors));
  for (size_t i = 1; i < tensors.size(); ++i) {
    const TensorEntry& before = tensors[i - 1];
    if (tensors[i].offset - before.offset < before.bytes) {
      return Damaged(cursor, tensors[i].name, fmt::format("overlaps tensor '{}'", Printable(before.name)));
    }
  }
  return tensors;
}

}  // namespace headrace
