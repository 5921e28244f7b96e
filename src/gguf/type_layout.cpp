#include <fmt/format.h>

#include <iterator>

#include "gguf/catalogue.h"

namespace headrace {
namespace {

struct TypeInfo {
  const char* name;  // nullptr: a number that no type has (any more)
  TypeLayout layout;
};

// Indexed by ggml_type, as of ggml 0.27.0. Numbers never change their meaning; new ones are added at the end.
constexpr TypeInfo kTypes[] = {
    {"F32", {1, 4}},      {"F16", {1, 2}},        {"Q4_0", {32, 18}},    {"Q4_1", {32, 20}},     {nullptr, {}},
    {nullptr, {}},        {"Q5_0", {32, 22}},     {"Q5_1", {32, 24}},    {"Q8_0", {32, 34}},     {"Q8_1", {32, 36}},
    {"Q2_K", {256, 84}},  {"Q3_K", {256, 110}},   {"Q4_K", {256, 144}},  {"Q5_K", {256, 176}},   {"Q6_K", {256, 210}},
    {"Q8_K", {256, 292}}, {"IQ2_XXS", {256, 66}}, {"IQ2_XS", {256, 74}}, {"IQ3_XXS", {256, 98}}, {"IQ1_S", {256, 50}},
    {"IQ4_NL", {32, 18}}, {"IQ3_S", {256, 110}},  {"IQ2_S", {256, 82}},  {"IQ4_XS", {256, 136}}, {"I8", {1, 1}},
    {"I16", {1, 2}},      {"I32", {1, 4}},        {"I64", {1, 8}},       {"F64", {1, 8}},        {"IQ1_M", {256, 56}},
    {"BF16", {1, 2}},     {nullptr, {}},          {nullptr, {}},         {nullptr, {}},          {"TQ1_0", {256, 54}},
    {"TQ2_0", {256, 66}}, {nullptr, {}},          {nullptr, {}},         {nullptr, {}},          {"MXFP4", {32, 17}},
    {"NVFP4", {64, 36}},  {"Q1_0", {128, 18}},    {"Q2_0", {64, 18}},
};
static_assert(std::size(kTypes) == 43, "GGML_TYPE_COUNT");

// In years ggml got 43, and forks of it number theirs up to some 400. What is beyond is damage.
constexpr uint32_t kMostTypes = 1024;

}  // namespace

std::string TypeName(uint32_t type) {
  if (type < std::size(kTypes) && kTypes[type].name != nullptr) return kTypes[type].name;
  return fmt::format("type {}", type);
}

TypeLayout LayoutOf(uint32_t type) { return type < std::size(kTypes) ? kTypes[type].layout : TypeLayout{}; }

bool MayBeNewer(uint32_t type) { return type >= std::size(kTypes) && type < kMostTypes; }

}  // namespace headrace
