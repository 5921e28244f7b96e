// Which GGUF files there are, and what each is called: every model once, under a name that depends neither on the order
// in which a folder lists its files nor on the way by which it was found first.
#pragma once

#include <string>
#include <vector>

#include "models/places.h"

namespace headrace {

struct ModelFile {
  std::string id;    // what people and requests name: text without control characters
  std::string path;  // absolute; of a split model the first part
  std::vector<std::string>
      other_names;  // by which it can be named too, where they mean it alone: links to it, its path on the command line
};

// The files of all places (folder_walk.h, ollama.h) and `files`, by id. Projectors are among them.
// - A file that can be reached in several ways is one model; its name is the one that is no link, the shortest, the
// first by the alphabet.
// - Its id is what its place calls it; in a folder the path there without ".gguf", of a split model without
// "-00001-of-00003" too; of one in `files`
//   its file name. Where two have the same, the first of these keeps it: in `files`, in an earlier place, of a newer
//   version, whole, split, by the alphabet. The other is called by its whole file name, or with its folder's own name
//   before it.
std::vector<ModelFile> FindModelFiles(const std::vector<ModelPlace>& places, const std::vector<std::string>& files);

}  // namespace headrace
