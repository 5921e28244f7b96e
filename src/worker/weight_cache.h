// The folder in which the engine's server keeps pieces of weights that clients sent: each in a file whose name is the
// hash of its content, 16 hexadecimal digits. The server writes such a file in place, reads it without a look at its
// content, and deletes none. So here its size is bounded, and a file that was not written whole is found out.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace headrace {

// Several processes may work on one folder. Errors of the file system are no errors: then nothing is kept.
class WeightCache {
 public:
  using Time = std::chrono::system_clock::time_point;

  // `folder` exists, or "": nothing is ever owned.
  WeightCache(std::string folder, uint64_t most_bytes) : folder_(std::move(folder)), most_bytes_(most_bytes) {}

  // By its path: one of the folder's files.
  bool Owns(std::string_view path) const;

  // A file that is about to be read. True: its content is what its name says, and it is now the one that was used last.
  // A damaged one is deleted.
  bool Use(const std::string& path) const;

  // Before a file of `bytes` is written: deletes those that were used least recently, none that was used since
  // `since`. False: there is no room even so.
  bool MakeRoom(uint64_t bytes, Time since) const;

 private:
  const std::string folder_;
  const uint64_t most_bytes_;
};

}  // namespace headrace
