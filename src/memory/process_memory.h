// What a process uses of memory and address space, and what it is not allowed to exceed.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/text_file.h"

namespace headrace {

struct ProcessMemory {
  uint64_t anonymous_bytes = 0;  // in memory and not of a file: the kernel can only swap it
  uint64_t file_bytes = 0;       // in memory and of files (code, mapped models) or shared
  uint64_t private_bytes = 0;    // writable private address space: what may become anonymous memory
  uint64_t address_bytes = 0;    // all address space
};

// Of /proc/self/statm, in pages; nullopt for text that is none.
std::optional<ProcessMemory> ParseStatm(std::string_view text);
std::optional<ProcessMemory> ReadProcessMemory(const ReadText& read);

// Most that each of its threads' stacks takes of private_bytes without being memory: stacks are mapped whole and
// hardly used.
uint64_t UnusedStackBytes(const ReadText& read);

// `ulimit -v` and `ulimit -d`; nullopt: unlimited.
struct AddressLimits {
  std::optional<uint64_t> address_bytes;  // RLIMIT_AS
  std::optional<uint64_t> private_bytes;  // RLIMIT_DATA
};
AddressLimits ReadAddressLimits();

}  // namespace headrace
