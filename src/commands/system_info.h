// What the system says about disks and processor. The parsers take text, so that tests can feed them the files
// of other machines. (Memory and its limits: memory/available.h.)
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/text_file.h"

namespace headrace::cli {

// The first processor's flags in /proc/cpuinfo.
std::set<std::string> ParseCpuFlags(std::string_view cpuinfo);
// Of those, what ggml's kernels use, in rising order of merit: "AVX2 FMA F16C AVX512 ...".
std::string DescribeCpu(const std::set<std::string>& flags);
std::string ParseCpuModel(std::string_view cpuinfo);

// "madvise" of "always [madvise] never"; "" when there is none.
std::string ParseSelected(std::string_view text);

// Read-ahead of a block device in KiB; nullopt when the system does not say.
std::optional<uint64_t> ReadAheadKib(const ReadText& read, unsigned device_major, unsigned device_minor);

// The name of a statfs(2) type: "ext4", "xfs", "tmpfs"; "type 0x..." when unknown.
std::string FileSystemName(uint64_t magic);

}  // namespace headrace::cli
