// Which GGUF files there are to serve, and what each is called: every model once, under a name that depends neither on the order in which a
// folder lists its files nor on the way by which it was found first.
#pragma once

#include <string>
#include <vector>

namespace headrace::serve {

struct ModelFile {
  std::string id;                         // what requests name: text without control characters
  std::string path;                       // absolute; of a split model the first part
  std::vector<std::string> other_names;   // by which it can be named too: links to it, its path on the command line
};

// The files of `folder` ("" for none), six folders deep, and `files`, by id.
// - Folders that are links are looked into, each folder once, those that are no links first; a link to a folder around it leads nowhere new.
// - A file that can be reached in several ways is one model; its name is the one that is no link, the shortest, the first by the alphabet.
// - Its id is the path in the folder without ".gguf", of a split model without "-00001-of-00003" too; of one in `files` its file name. Where two have
//   the same, the first of these keeps it: in `files`, whole, split, by the alphabet. The other is called by its whole file name, or, when it
//   is a file of the folder that one in `files` hides, with the folder's own name before it.
// - "._x.gguf" (what macOS writes beside a file on a foreign disk) is no model.
std::vector<ModelFile> FindModelFiles(const std::string& folder, const std::vector<std::string>& files);

// A file's name as text that can be written in JSON and shown: what is no UTF-8, and control characters, as %0A. Pure.
std::string NameAsText(const std::string& name);

}  // namespace headrace::serve
