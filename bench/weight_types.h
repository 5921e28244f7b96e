// Which type each weight of a generated model has: all alike, or mixed as published files have them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gguf_writer.h"

namespace headrace::bench {

enum class TypeMix {
  kQ4_0,
  kQ8_0,
  kQ6_K,
  kQ4_K,     // with a Q6_K output
  kQ4_K_M,   // what llama-quantize makes of that name: more bits for some layers' values and down projections
  kMxfp4,    // experts MXFP4, the rest Q8_0
  kDynamic,  // experts of one layer after the other of 4, 5, 6 bits, down projections with more: no two neighbours have
             // experts of one size
};

struct TypeMixName {
  const char* name;  // of the option --type
  TypeMix mix;
  uint32_t file_type;  // llama_ftype: what llama.cpp shows as the file's type
};
const std::vector<TypeMixName>& TypeMixes();
uint32_t FileTypeOf(TypeMix mix);

// Elements of a row that every type of the mix can hold.
uint32_t RowMultipleOf(TypeMix mix);

// The type of a matrix of that name and shape in a model of so many layers. `grouped_values`: the values' matrices are
// so small that llama-quantize gives them more bits (Llama 70B).
TensorType TypeOf(TypeMix mix, std::string_view name, const std::vector<uint64_t>& shape, uint32_t layers,
                  bool grouped_values);

}  // namespace headrace::bench
