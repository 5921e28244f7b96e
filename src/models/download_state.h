// Which bytes of a file that is being downloaded are there, kept beside it so that an interrupted download goes on. For
// one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "models/http_request.h"

namespace headrace {

class DownloadState {
 public:
  // Of a file of `bytes` in the version `tag` ("" where the server names none), nothing of which is there.
  DownloadState(uint64_t bytes, std::string tag);
  // What the file at `path` says, if it is of the same size and version; else nothing is there.
  static DownloadState Load(const std::string& path, uint64_t bytes, const std::string& tag);
  // Replaces that file. What is said to be there must be on the disk before.
  Status Save(const std::string& path) const;

  size_t pieces() const { return done_.size(); }
  // What is missing of a piece: empty when all is there.
  HttpRange Missing(size_t piece) const;
  // Bytes from `begin` on, which is where a piece's missing part begins.
  void Add(uint64_t begin, uint64_t bytes);
  void Clear();

  uint64_t bytes() const { return bytes_; }
  uint64_t done_bytes() const;
  bool complete() const { return done_bytes() == bytes_; }
  const std::string& tag() const { return tag_; }

 private:
  uint64_t bytes_, piece_bytes_;
  std::string tag_;
  std::vector<uint64_t> done_;  // of each piece, from its beginning on
};

}  // namespace headrace
