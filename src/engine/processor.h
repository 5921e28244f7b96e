// What this machine's processor can do: the engine has kernels for several kinds and takes the best that runs. Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace headrace::cli {

// The first processor's flags in /proc/cpuinfo.
std::set<std::string> ParseCpuFlags(std::string_view cpuinfo);
// Of those, what ggml's kernels use, in rising order of merit: "AVX2 FMA F16C AVX512 ...".
std::string DescribeCpu(const std::set<std::string>& flags);
std::string ParseCpuModel(std::string_view cpuinfo);

}  // namespace headrace::cli
