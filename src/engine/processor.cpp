#include "engine/processor.h"

#include <algorithm>
#include <utility>

namespace headrace::cli {
namespace {

template <typename F>
void ForEachLine(std::string_view text, F&& f) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    f(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::set<std::string> ParseCpuFlags(std::string_view cpuinfo) {
  std::set<std::string> flags;
  ForEachLine(cpuinfo, [&](std::string_view line) {
    if (!flags.empty() || !(line.starts_with("flags") || line.starts_with("Features"))) return;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    line.remove_prefix(colon + 1);
    while (!line.empty()) {
      const size_t end = std::min(line.find(' '), line.size());
      if (end > 0) flags.emplace(line.substr(0, end));
      line.remove_prefix(std::min(end + 1, line.size()));
    }
  });
  return flags;
}

std::string DescribeCpu(const std::set<std::string>& flags) {
  static constexpr std::pair<const char*, const char*> kNames[] = {
      {"avx", "AVX"},           {"avx2", "AVX2"},       {"fma", "FMA"},          {"f16c", "F16C"},
      {"avx_vnni", "AVX-VNNI"}, {"avx512f", "AVX-512"}, {"avx512_vnni", "VNNI"}, {"avx512_bf16", "BF16"},
      {"amx_int8", "AMX"},      {"asimd", "NEON"},      {"asimddp", "DOTPROD"},  {"i8mm", "I8MM"},
      {"sve", "SVE"},           {"sve2", "SVE2"},       {"sme", "SME"},
  };
  std::string text;
  for (const auto& [flag, name] : kNames) {
    if (flags.count(flag) == 0) continue;
    if (!text.empty()) text += ' ';
    text += name;
  }
  return text;
}

std::string ParseCpuModel(std::string_view cpuinfo) {
  std::string model;
  ForEachLine(cpuinfo, [&](std::string_view line) {
    // arm64 has no name of the processor; a Raspberry Pi's kernel says what the machine is.
    if (!model.empty() || !(line.starts_with("model name") || line.starts_with("Model"))) return;
    const size_t colon = line.find(": ");
    if (colon != std::string_view::npos) model = line.substr(colon + 2);
  });
  return model;
}

}  // namespace headrace::cli
