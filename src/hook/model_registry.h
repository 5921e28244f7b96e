// The models that this process loads: which of them stream, and where they are mapped.
//
// A model is known by its files: which file it is, how large, and when it was written to. Nothing in a file is read:
// its header may claim anything, and be newer than this library.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "exec/mapping_table.h"
#include "io/source_file.h"

namespace headrace {

// A file as it was at a time. Written over it is another one, also where the file system gives a new file an old one's
// number.
struct FileVersion {
  FileIdentity identity;
  uint64_t bytes = 0;
  timespec modified{};

  static FileVersion Of(const struct stat& info);
  friend bool operator==(const FileVersion& a, const FileVersion& b) {
    return a.identity == b.identity && a.bytes == b.bytes && a.modified.tv_sec == b.modified.tv_sec &&
           a.modified.tv_nsec == b.modified.tv_nsec;
  }
};

// Thread-safe. Its lock is held for moments only, never while a file is opened or the engine computes: unmapping
// anything asks it.
class ModelRegistry {
 public:
  // For the weights of a model that is about to be loaded.
  struct Room {
    uint64_t bytes = 0;
    bool stream_all = false;  // whatever their size
  };
  struct Verdict {
    bool streams = false;
    uint64_t weight_bytes = 0;  // of the whole model, as far as its parts are known
  };

  // Decides about the model that the file is, or is a part of; one that is mapped already stays what it is. `path`
  // names the file, and so the other parts. `weight_bytes` of this file is what the engine made of its header. Without
  // it the file's size is taken, which is more by the header: the vocabulary of a model has megabytes, and one that
  // just fits must not stream for them. Beside a model that streams every other one does: the planner keeps small ones
  // resident.
  Verdict Judge(const FileVersion& file, const std::string& path, std::optional<uint64_t> weight_bytes,
                const Room& room);
  // What was decided about a file; none: nothing yet.
  std::optional<Verdict> Find(const FileVersion& file) const;

  // A range was mapped from the open file. For a model that streams, the file opened anew, through the descriptor:
  // whatever its name leads to now, it is what is mapped. Null for any other model. Errors: those of SourceFile::Open;
  // the mapping alone then serves. It knows its copies in `mirrors`; a line says of each that is none.
  Result<std::shared_ptr<const SourceFile>> Mapped(const void* address, uint64_t bytes, int fd, uint64_t offset,
                                                   SourceFile::Access access,
                                                   std::span<const std::string> mirrors = {});
  // A range is about to be unmapped. True when weights that stream were in it.
  bool Unmapped(const void* address, uint64_t bytes);
  bool Overlaps(const void* address, uint64_t bytes) const {
    return mappings_.Overlaps(address, bytes) || others_.Overlaps(address, bytes);
  }

  // The ranges of models that stream.
  MappingTable& mappings() { return mappings_; }
  const MappingTable& mappings() const { return mappings_; }
  bool empty() const { return mappings_.empty() && others_.empty(); }
  size_t streaming() const { return mappings_.models().size(); }

  // Models that fit and are mapped: the weights of all, and how much of them is mapped.
  struct Passive {
    uint64_t weight_bytes = 0;
    uint64_t mapped_bytes = 0;
  };
  Passive passive() const;

 private:
  struct Part {
    FileVersion file;
    uint64_t weight_bytes = 0;
    bool exact = false;  // else it is the file's size
  };
  struct Model {
    uint32_t number = 0;
    std::vector<Part> parts;
    bool streams = false;
    bool was_mapped = false;

    uint64_t weight_bytes() const;
    bool Has(const FileVersion& file) const;
  };
  Model* FindModel(const FileVersion& file);  // needs mutex_
  bool IsMapped(const Model& model) const;

  MappingTable mappings_;  // of models that stream
  MappingTable others_;    // of models that fit, and of those whose file could not be opened

  mutable std::mutex mutex_;  // guards all below
  std::list<Model> models_;
  uint32_t next_number_ = 0;
};

// "/models/a.gguf"; "" when it cannot be told.
std::string PathOfDescriptor(int fd);

}  // namespace headrace
