// A reader that shares reads among the drives that hold copies of a file, by their speed.
#pragma once

#include <memory>

#include "io/drive_figures.h"
#include "io/reader.h"

namespace headrace {

struct MirroredReading {
  uint64_t buffer_bytes = 0;  // for each drive, charged by the caller: whole pages, 16 at least
  // A drive that has not answered for so long is silent.
  Patience silence = std::chrono::seconds(10);
};

// Reads with `base`, which has nothing in flight. Each part of a read goes to the copy that will probably have it
// first. What fails on one is read from another, and a line says so when a drive fails for the first time; a read fails
// when all have failed. Each read of a copy ends with a look whether the copy has changed: then it is used no more.
//
// A drive may hang without an error. What it was asked for is then read from another one, which a line says the first
// time, and it is asked for nothing more until all its reads have come back; then it counts as one that has failed. The
// kernel cannot be made to forget a read that hangs (a cancelled one of a block device goes on, and so does its
// thread), and may write to its memory at any time, through the address or past it. So reads of files with copies go to
// memory that belongs to this reader and the drive, and are copied from there: what hangs keeps its part of it, and the
// file, for as long as it hangs, also when the reader goes. The destination is never the kernel's. `figures` outlive
// the reader.
std::unique_ptr<Reader> MakeMirroredReader(std::unique_ptr<Reader> base, DriveTable& figures,
                                           const MirroredReading& how);

}  // namespace headrace
