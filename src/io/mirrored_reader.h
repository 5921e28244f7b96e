// A reader that shares reads among the drives that hold copies of a file, by their speed.
#pragma once

#include <memory>

#include "io/drive_figures.h"
#include "io/reader.h"

namespace headrace {

// Reads with `base`, which has nothing in flight. Each part of a read goes to the copy that will probably have it
// first. What fails on one is read from another, and a line says so when a drive fails for the first time; a read fails
// when all have failed. Each read of a copy ends with a look whether the copy has changed: then it is used no more.
// `figures` outlive the reader.
std::unique_ptr<Reader> MakeMirroredReader(std::unique_ptr<Reader> base, DriveTable& figures);

}  // namespace headrace
