// Builds the header of a GGUF version 3 file: metadata and the tensor directory. The weights are the
// caller's: tensor data begins at DataOffset() and each tensor lies at the offset that AddTensor placed it.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::bench {

// The ggml_type values that the generator writes.
enum class TensorType : uint32_t {
  kF32 = 0,
  kQ4_0 = 2,
  kQ5_0 = 6,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kMxfp4 = 39
};

// How the weights of a tensor are distributed, for random_weights.h.
struct Filling {
  double gain = 1;   // quantized: standard deviation, in units of 1/sqrt(shape[0])
  double alike = 0;  // quantized: share of each row's blocks, from its first, that are the same in all rows
  double mean = 1;   // F32: uniform in [mean - spread, mean + spread)
  double spread = 0;
  bool identity = false;  // Q8_0: ones on the diagonal, zeros elsewhere; the rest does not count
};

struct TensorPlace {
  std::string name;
  TensorType type = TensorType::kF32;
  std::vector<uint64_t> shape;  // ggml order: shape[0] is a row
  uint64_t offset = 0;          // bytes from the start of the tensor data
  uint64_t bytes = 0;
  Filling filling;
};

// Not thread-safe. Keys and tensor names must be unique; that is not checked.
class GgufWriter {
 public:
  // Every tensor starts at a multiple of this, as in files of llama.cpp's own tools.
  static constexpr uint64_t kAlignment = 32;

  void AddString(std::string_view key, std::string_view value);
  void AddUint32(std::string_view key, uint32_t value);
  void AddFloat32(std::string_view key, float value);
  void AddBool(std::string_view key, bool value);
  void AddStrings(std::string_view key, const std::vector<std::string>& values);
  void AddInt32s(std::string_view key, const std::vector<int32_t>& values);

  // Places the tensor behind the previous one. shape[0] must be a multiple of the type's block.
  void AddTensor(std::string name, TensorType type, std::vector<uint64_t> shape, Filling filling = {});

  const std::vector<TensorPlace>& tensors() const { return tensors_; }
  // Header, metadata and directory, padded to kAlignment: the bytes before the tensor data.
  std::string Header() const;
  uint64_t DataOffset() const { return Header().size(); }
  uint64_t DataBytes() const { return data_bytes_; }

 private:
  void Key(std::string_view key, uint32_t value_type);

  std::string metadata_;
  uint64_t metadata_count_ = 0;
  std::vector<TensorPlace> tensors_;
  uint64_t data_bytes_ = 0;
};

}  // namespace headrace::bench
