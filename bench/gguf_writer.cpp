#include "gguf_writer.h"

#include <bit>
#include <cstring>
#include <utility>

#include "base/size.h"
#include "random_weights.h"

namespace headrace::bench {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is written little-endian");

// gguf_type
constexpr uint32_t kUint32 = 4, kInt32 = 5, kFloat32 = 6, kBool = 7, kString = 8, kArray = 9;

template <typename T>
void Append(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void AppendString(std::string& out, std::string_view text) {
  Append<uint64_t>(out, text.size());
  out.append(text);
}

}  // namespace

void GgufWriter::Key(std::string_view key, uint32_t value_type) {
  AppendString(metadata_, key);
  Append(metadata_, value_type);
  ++metadata_count_;
}

void GgufWriter::AddString(std::string_view key, std::string_view value) {
  Key(key, kString);
  AppendString(metadata_, value);
}

void GgufWriter::AddUint32(std::string_view key, uint32_t value) {
  Key(key, kUint32);
  Append(metadata_, value);
}

void GgufWriter::AddFloat32(std::string_view key, float value) {
  Key(key, kFloat32);
  Append(metadata_, value);
}

void GgufWriter::AddBool(std::string_view key, bool value) {
  Key(key, kBool);
  Append<uint8_t>(metadata_, value ? 1 : 0);
}

void GgufWriter::AddStrings(std::string_view key, const std::vector<std::string>& values) {
  Key(key, kArray);
  Append(metadata_, kString);
  Append<uint64_t>(metadata_, values.size());
  for (const std::string& value : values) AppendString(metadata_, value);
}

void GgufWriter::AddInt32s(std::string_view key, const std::vector<int32_t>& values) {
  Key(key, kArray);
  Append(metadata_, kInt32);
  Append<uint64_t>(metadata_, values.size());
  for (const int32_t value : values) Append(metadata_, value);
}

void GgufWriter::AddTensor(std::string name, TensorType type, std::vector<uint64_t> shape, Filling filling) {
  uint64_t elements = 1;
  for (const uint64_t n : shape) elements *= n;
  const BlockLayout layout = BlockLayoutOf(type);
  const uint64_t bytes = elements / layout.elements * layout.bytes;
  tensors_.push_back({std::move(name), type, std::move(shape), data_bytes_, bytes, filling});
  data_bytes_ = AlignUp(data_bytes_ + bytes, kAlignment);
}

std::string GgufWriter::Header() const {
  std::string out = "GGUF";
  Append<uint32_t>(out, 3);
  Append<uint64_t>(out, tensors_.size());
  Append<uint64_t>(out, metadata_count_);
  out += metadata_;
  for (const TensorPlace& tensor : tensors_) {
    AppendString(out, tensor.name);
    Append<uint32_t>(out, static_cast<uint32_t>(tensor.shape.size()));
    for (const uint64_t n : tensor.shape) Append(out, n);
    Append(out, static_cast<uint32_t>(tensor.type));
    Append(out, tensor.offset);
  }
  out.resize(AlignUp(out.size(), kAlignment), '\0');
  return out;
}

}  // namespace headrace::bench
