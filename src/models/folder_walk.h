// The model files in a folder, six folders deep.
// - Folders that are links are looked into, each folder once, those that are no links first; a link to a folder around
// it leads nowhere new.
// - A folder "models--USER--NAME" with "snapshots" in it is a repository of Hugging Face's cache: its files are called
// USER/NAME:QUANTIZATION, or
//   USER/NAME/FILE where the file's name tells none, first those of the version that refs/main names.
// - Other files are called by their path in the folder.
#pragma once

#include <string>
#include <vector>

#include "models/way.h"

namespace headrace {

std::vector<Way> WalkFolder(const std::string& folder);

// The commit that a repository's folder has in refs/main, else in any other; "" when there is none.
std::string HubCommit(const std::string& repository_folder);

}  // namespace headrace
