#include <gtest/gtest.h>

#include "gguf/catalogue.h"

namespace headrace {
namespace {

// ggml_blck_size and ggml_type_size of ggml 0.27.0, and the names of enum ggml_type.
struct Known {
  uint32_t type;
  const char* name;
  uint32_t block_elements;
  uint32_t block_bytes;
};
constexpr Known kKnown[] = {
    {0, "F32", 1, 4},         {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},      {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},      {8, "Q8_0", 32, 34},      {9, "Q8_1", 32, 36},
    {10, "Q2_K", 256, 84},    {11, "Q3_K", 256, 110},   {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},   {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},   {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},   {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},         {25, "I16", 1, 2},
    {26, "I32", 1, 4},        {27, "I64", 1, 8},        {28, "F64", 1, 8},        {29, "IQ1_M", 256, 56},
    {30, "BF16", 1, 2},       {34, "TQ1_0", 256, 54},   {35, "TQ2_0", 256, 66},   {39, "MXFP4", 32, 17},
    {40, "NVFP4", 64, 36},    {41, "Q1_0", 128, 18},    {42, "Q2_0", 64, 18},
};

TEST(TypeLayout, EveryTypeOfTheEngine) {
  for (const Known& known : kKnown) {
    EXPECT_EQ(TypeName(known.type), known.name);
    EXPECT_EQ(LayoutOf(known.type).block_elements, known.block_elements) << known.name;
    EXPECT_EQ(LayoutOf(known.type).block_bytes, known.block_bytes) << known.name;
  }
}

TEST(TypeLayout, RemovedAndUnknownTypesHaveNone) {
  for (uint32_t type : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u, 43u, 99u, 0xffffffffu}) {
    EXPECT_EQ(TypeName(type), "type " + std::to_string(type));
    EXPECT_EQ(LayoutOf(type).block_elements, 0u) << type;
    EXPECT_EQ(LayoutOf(type).block_bytes, 0u) << type;
  }
}

TEST(TypeLayout, NewerTypesAreThoseBehindTheLastOne) {
  for (uint32_t type : {43u, 99u, 400u, 1023u}) EXPECT_TRUE(MayBeNewer(type)) << type;
  for (uint32_t type : {0u, 4u, 31u, 38u, 42u, 1024u, 0xffffffffu}) EXPECT_FALSE(MayBeNewer(type)) << type;
}

}  // namespace
}  // namespace headrace
