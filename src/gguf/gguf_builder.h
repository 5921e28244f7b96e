// Writes GGUF files for tests, sound and malformed ones. Not part of any library.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/size.h"
#include "gguf/catalogue.h"

namespace headrace {

// Types of metadata values, and of tensors that tests use often.
enum GgufType : uint32_t {
  kGgufU8 = 0,
  kGgufI8,
  kGgufU16,
  kGgufI16,
  kGgufU32,
  kGgufI32,
  kGgufF32,
  kGgufBool,
  kGgufString,
  kGgufArray,
  kGgufU64,
  kGgufI64,
  kGgufF64,
};
enum GgmlType : uint32_t { kGgmlF32 = 0, kGgmlF16 = 1, kGgmlQ4_0 = 2, kGgmlQ8_0 = 8, kGgmlQ4_K = 12 };

// Collects keys and tensors in the order of the calls:
//
//   GgufBuilder().Text("general.architecture", "llama").U32("llama.block_count", 1)
//       .Tensor("output.weight", kGgmlQ4_0, {256, 32}).Write(path);
//
// Nothing is checked: that is the use of it. A sound file needs unique names and known types.
class GgufBuilder {
 public:
  explicit GgufBuilder(uint32_t version = 3) : version_(version) {}

  GgufBuilder& Text(const std::string& key, std::string_view value) { return Raw(key, kGgufString, String(value)); }
  GgufBuilder& U16(const std::string& key, uint16_t value) { return Raw(key, kGgufU16, Bytes(value)); }
  GgufBuilder& U32(const std::string& key, uint32_t value) { return Raw(key, kGgufU32, Bytes(value)); }
  GgufBuilder& I32(const std::string& key, int32_t value) { return Raw(key, kGgufI32, Bytes(value)); }
  GgufBuilder& U64(const std::string& key, uint64_t value) { return Raw(key, kGgufU64, Bytes(value)); }
  GgufBuilder& F32(const std::string& key, float value) { return Raw(key, kGgufF32, Bytes(value)); }
  GgufBuilder& Bool(const std::string& key, bool value) { return Raw(key, kGgufBool, Bytes(uint8_t{value})); }
  GgufBuilder& I32Array(const std::string& key, const std::vector<int32_t>& values) {
    std::string bytes;
    for (int32_t value : values) bytes += Bytes(value);
    return Array(key, kGgufI32, values.size(), bytes);
  }
  GgufBuilder& TextArray(const std::string& key, const std::vector<std::string>& values) {
    std::string bytes;
    for (const std::string& value : values) bytes += String(value);
    return Array(key, kGgufString, values.size(), bytes);
  }
  // An array that claims count elements of a type and has these bytes.
  GgufBuilder& Array(const std::string& key, uint32_t type, uint64_t count, std::string_view bytes) {
    return Raw(key, kGgufArray, Bytes(type) + Length(count) + std::string(bytes));
  }
  // Any value: its type and its bytes.
  GgufBuilder& Raw(std::string_view key, uint32_t type, std::string_view bytes) {
    pairs_ += String(key) + Bytes(type) + std::string(bytes);
    ++pair_count_;
    return *this;
  }
  // The keys of part `part` (from 1) of a split model.
  GgufBuilder& Split(uint16_t part, uint16_t parts, int32_t tensors_of_all) {
    return U16("split.no", static_cast<uint16_t>(part - 1))
        .U16("split.count", parts)
        .I32("split.tensors.count", tensors_of_all);
  }
  // Sets general.alignment and follows it; before the first tensor.
  GgufBuilder& Alignment(uint32_t alignment) {
    alignment_ = std::max(1u, alignment);
    return U32("general.alignment", alignment);
  }

  // A tensor of the right size behind the last one.
  GgufBuilder& Tensor(std::string_view name, uint32_t type, const std::vector<uint64_t>& shape) {
    return TensorAt(name, type, shape, AlignUp(data_bytes_, alignment_));
  }
  // A tensor at any offset of the data.
  GgufBuilder& TensorAt(std::string_view name, uint32_t type, const std::vector<uint64_t>& shape, uint64_t offset) {
    tensors_ += String(name) + Bytes(static_cast<uint32_t>(shape.size()));
    for (uint64_t extent : shape) tensors_ += Length(extent);
    tensors_ += Bytes(type) + Bytes(offset);
    ++tensor_count_;
    const TypeLayout layout = LayoutOf(type);
    uint64_t bytes = layout.block_bytes;
    for (size_t i = 0; i < shape.size(); ++i)
      bytes *= i == 0 ? shape[0] / std::max(1u, layout.block_elements) : shape[i];
    data_bytes_ = std::max(data_bytes_, offset + bytes);
    return *this;
  }

  // What the header claims instead of the truth.
  GgufBuilder& ClaimPairs(uint64_t count) { return pair_count_ = count, *this; }
  GgufBuilder& ClaimTensors(uint64_t count) { return tensor_count_ = count, *this; }
  GgufBuilder& Magic(std::string_view magic) { return magic_ = magic, *this; }

  // The file up to the padding before its data.
  std::string Header() const {
    return magic_ + Bytes(version_) + Length(tensor_count_) + Length(pair_count_) + pairs_ + tensors_;
  }
  uint64_t DataOffset() const { return AlignUp(Header().size(), alignment_); }
  uint64_t FileBytes() const { return DataOffset() + data_bytes_; }

  // Writes the header and as many zeros as the tensors need, sparsely: a file of 400 GB takes no space.
  // file_bytes, when given, is its size instead. Whether it worked.
  bool Write(const std::string& path) const { return Write(path, FileBytes()); }
  bool Write(const std::string& path, uint64_t file_bytes) const {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << Header();
    std::error_code error;
    std::filesystem::resize_file(path, file_bytes, error);
    return !error;
  }

 private:
  template <typename T>
  static std::string Bytes(T value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  }
  std::string Length(uint64_t length) const {
    return version_ == 1 ? Bytes(static_cast<uint32_t>(length)) : Bytes(length);
  }
  std::string String(std::string_view text) const { return Length(text.size()) + std::string(text); }

  const uint32_t version_;
  std::string magic_ = "GGUF";
  std::string pairs_;
  std::string tensors_;
  uint64_t pair_count_ = 0;
  uint64_t tensor_count_ = 0;
  uint64_t alignment_ = 32;
  uint64_t data_bytes_ = 0;
};

}  // namespace headrace
