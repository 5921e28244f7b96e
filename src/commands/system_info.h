// What the system says about disks. The parsers take text, so that tests can feed them the files of other machines.
// (The processor: engine/processor.h. Memory and its limits: memory/available.h.)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/text_file.h"

namespace headrace::cli {

// "madvise" of "always [madvise] never"; "" when there is none.
std::string ParseSelected(std::string_view text);

// Read-ahead of a block device in KiB; nullopt when the system does not say.
std::optional<uint64_t> ReadAheadKib(const ReadText& read, unsigned device_major, unsigned device_minor);

// The name of a statfs(2) type: "ext4", "xfs", "tmpfs"; "type 0x..." when unknown.
std::string FileSystemName(uint64_t magic);

}  // namespace headrace::cli
