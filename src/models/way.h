// A way by which a model's file was found, and the names that it gives.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace headrace {

// Which file it is, by whatever name: device and inode.
using FileInode = std::pair<uint64_t, uint64_t>;
std::optional<FileInode> FileInodeOf(const std::string& path);

struct Way {
  std::string path;                 // absolute
  std::string name;                 // in its place, as it is sorted
  std::string short_name;           // what the model is called, unless another one has this name
  std::vector<std::string> longer;  // what it is called then, the best first
  std::vector<std::string> others;  // names that do as well where they mean one model only
  std::string given;                // as the command line names it, "" when that does not
  size_t place = 0;                 // in the order of places
  size_t later = 0;                 // of several versions of the same, how many come before this one
  bool link = false;                // the file itself is a link
  FileInode inode;
};

}  // namespace headrace
