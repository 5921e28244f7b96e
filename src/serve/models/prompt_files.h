// The folder in which the KV caches of prompts outlive a model's process: one file for each slot, whose name says what
// it belongs to and what is in it: "KEY-SLOT-HASH.kv". Other files there are nobody's business. Thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace headrace::serve {

class PromptFiles {
 public:
  // "" for a folder: keeps nothing.
  PromptFiles(std::string folder, uint64_t most_bytes) : folder_(std::move(folder)), most_bytes_(most_bytes) {}

  struct File {
    uint64_t key = 0;  // of the model and what else decides what its KV cache holds
    uint64_t slot = 0;
    uint64_t hash = 0;  // of the content
    std::string name;
    uint64_t bytes = 0;
    int64_t modified = 0;  // ns since 1970
  };

  bool enabled() const { return !folder_.empty(); }
  const std::string& folder() const { return folder_; }
  // Makes the folder if there is none, and removes what ended processes left unfinished. Errors: kPermission, for a
  // folder too that is another user's or in which others may write: they could put their own files in the place of
  // ours; kIo.
  Status Prepare() const;

  // Of this key, by slot; 0 for all. The newest only, where a slot has several.
  std::vector<File> Find(uint64_t key) const;
  // Whether the content is what it was. One that is not is removed.
  bool Check(const File& file) const;
  // From now on it counts as just used.
  void Touch(const File& file) const;
  void Remove(const File& file) const;

  // A name for the engine to write to, and what is made of it then: the slot's only file, if it has `bytes` bytes; what
  // was not used for the longest time goes, until all fit. The slot keeps what it had where this fails. Error: kIo.
  std::string UnfinishedName(uint64_t key, uint64_t slot) const;
  Status Keep(uint64_t key, uint64_t slot, uint64_t bytes) const;

 private:
  std::vector<File> List() const;
  void Shrink() const;

  const std::string folder_;
  const uint64_t most_bytes_;
};

}  // namespace headrace::serve
