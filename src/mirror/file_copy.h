// Copies a file, or some of its stripes, to another drive, and compares such a copy with the file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "io/source_file.h"
#include "io/stripes.h"

namespace headrace::cli {

// Bytes since the last call. False: stop.
using OnBytes = std::function<bool(uint64_t bytes)>;

// The path of a copy in a folder: the file's name, for a part of it with PartialHeader::kSuffix.
std::string CopyPath(const std::string& folder, const SourceFile& original, uint64_t share);
// The size of that copy.
uint64_t CopyBytes(const SourceFile& original, uint64_t share);

// Makes the copy under another name (kUnfinishedCopy), writes it to the disk, and renames it. What was not finished
// stays; the next call compares it with the original, byte by byte, and goes on behind what is right. `on_there` gets
// those bytes, `on_bytes` those that are written. Errors: kCancelled when stopped; kIo, kPermission; kInvalidArgument
// while another process makes it; kChanged, after which nothing stays.
Status CopyFile(const SourceFile& original, const std::string& path, uint64_t share, const OnBytes& on_there,
                const OnBytes& on_bytes);
// What CopyFile(…, path, …) has left there; 0: nothing.
uint64_t UnfinishedBytes(const std::string& path);

// Compares all bytes. Errors: those of MirrorCopy::Open; kCorrupt with the first byte that differs; kCancelled; kIo.
Status CompareCopy(const SourceFile& original, const std::string& path, const OnBytes& on_bytes);

}  // namespace headrace::cli
