// Sizes as people write and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace headrace {

inline constexpr uint64_t kKiB = 1024;
inline constexpr uint64_t kMiB = 1024 * kKiB;
inline constexpr uint64_t kGiB = 1024 * kMiB;

// The unit of the offsets, lengths and addresses of direct reads (O_DIRECT): a multiple of every disk's block size in
// use, on kernels with larger pages too.
inline constexpr uint64_t kReadAlignment = 4096;

// The unit in which the kernel maps memory, gives it and takes it back: 4 KiB on x86-64; 4, 16 or 64 KiB on arm64. A
// power of two, at least kReadAlignment.
uint64_t PageBytes();

constexpr uint64_t AlignDown(uint64_t value, uint64_t alignment) { return value - value % alignment; }
constexpr uint64_t AlignUp(uint64_t value, uint64_t alignment) { return AlignDown(value + alignment - 1, alignment); }

// "8G", "512MiB", "1.5 GB", "700m", "4096": bytes. K, M, G, T with an optional "iB" or "B" are powers of
// 1024, as memory is counted; a bare number is bytes. Errors: kInvalidArgument, naming the text.
Result<uint64_t> ParseSize(std::string_view text);

// "1.94 GiB", "700 MiB", "12 B": three significant digits at most, powers of 1024.
std::string FormatSize(uint64_t bytes);

}  // namespace headrace
