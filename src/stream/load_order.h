// In which order a model's tensors are loaded, guessed from those before: layers repeat themselves, and within one the
// order is not that of the file (llama.cpp asks for gate, down, up where files have gate, up, down). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace headrace {

struct FileRange {
  uint64_t offset = 0;
  uint64_t bytes = 0;
  friend bool operator==(const FileRange&, const FileRange&) = default;
};

class LoadOrder {
 public:
  // It was asked for.
  void Add(const FileRange& range) { asked_.push_back(range); }
  void Clear() { asked_.clear(); }
  // What will follow, up to so many bytes of a file: what followed the last time that two ranges of these sizes stood
  // so to each other. Nothing when there was no such time.
  std::vector<FileRange> Next(uint64_t bytes, uint64_t file_bytes) const;

 private:
  std::vector<FileRange> asked_;
};

}  // namespace headrace
