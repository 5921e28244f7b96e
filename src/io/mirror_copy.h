// A second copy of a model file, or of some of its stripes, on another drive.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "io/source_file.h"
#include "io/stripes.h"

namespace headrace {

// A partial copy is one page of text, then its stripes. It has no GGUF magic and another name than a model.
struct PartialHeader {
  static constexpr const char* kSuffix = ".part-copy";  // behind the file's name

  uint64_t file_bytes = 0;   // of the original
  uint64_t fingerprint = 0;  // SourceFile::Fingerprint of the original
  uint64_t share = 0;        // of its stripes (Stripes)

  // kReadAlignment of text and zeros.
  std::string ToPage() const;
  // Errors: kCorrupt.
  static Result<PartialHeader> Parse(const std::string& page);
};

// Behind the name of a copy that `headrace mirror` has not finished.
inline constexpr const char* kUnfinishedCopy = ".copying";

// Const operations are thread-safe.
class MirrorCopy {
 public:
  // Opens a full copy, or a partial one by its header, and compares it with the original: size, the beginning, samples.
  // Errors: those of SourceFile::Open; kCorrupt with what differs; kInvalidArgument for the original itself.
  static Result<std::shared_ptr<const MirrorCopy>> Open(const SourceFile& original, const std::string& path,
                                                        SourceFile::Access access);

  const SourceFile& file() const { return file_; }
  const Stripes& stripes() const { return stripes_; }
  // Where the copy has a byte of the original that it holds.
  uint64_t Position(uint64_t offset) const { return data_offset_ + stripes_.Position(offset); }
  // Not read any more: it has changed. False: it was retired already.
  bool Retire() const { return !retired_.exchange(true); }
  bool retired() const { return retired_; }

 private:
  explicit MirrorCopy(SourceFile file) : file_(std::move(file)) {}

  SourceFile file_;
  Stripes stripes_;
  uint64_t data_offset_ = 0;
  mutable std::atomic<bool> retired_{false};
};

// A mirror that is of no use for a file.
struct MirrorProblem {
  std::string mirror;
  // kNotFound: it holds no copy, or one that is not finished; kCorrupt: another file's, or a damaged one;
  // kInvalidArgument: it is the file itself, or on a drive that is read already; kPermission, kIo.
  Status why;
  std::string Line() const;
};

// The copies of a file that `mirrors` hold: each names a copy, or a folder in which one has the file's name or else its
// size. What is a copy of something else by name and size is none of this file's business.
std::vector<std::shared_ptr<const MirrorCopy>> OpenMirrors(const SourceFile& original,
                                                           std::span<const std::string> mirrors,
                                                           SourceFile::Access access,
                                                           std::vector<MirrorProblem>& problems);

}  // namespace headrace
