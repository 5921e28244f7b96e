#include "gguf/file_header.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/descriptor.h"
#include "gguf/header_cursor.h"
#include "gguf/tensor_table.h"

namespace headrace {
namespace {

constexpr std::string_view kMagic = "GGUF";

Status OpenError(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return Status(Code::kNotFound, fmt::format("{}: no such file. Check the path.", path));
    case EACCES:
    case EPERM:
      return Status(Code::kPermission, fmt::format("{}: this user may not read it. Check its permissions.", path));
    case ENAMETOOLONG:
    case ELOOP:
      return Status(Code::kInvalidArgument,
                    fmt::format("{}: no usable path: {}. Give the path of a .gguf file.", path, std::strerror(error)));
    default:
      return Status(Code::kIo, fmt::format("{}: cannot be opened: {} (errno {}). Check the disk.", path,
                                           std::strerror(error), error));
  }
}

// What people give instead of a GGUF file, by its first bytes.
Status NotGguf(const std::string& path, std::string_view start) {
  struct Lookalike {
    std::string_view magic;
    const char* advice;
  };
  static constexpr Lookalike kLookalikes[] = {
      {"vers", "It looks like a Git LFS pointer: run `git lfs pull`."},
      {"<!DO", "It is a web page: download the file itself."},
      {"<!do", "It is a web page: download the file itself."},
      {"<htm", "It is a web page: download the file itself."},
      {"PK\x03\x04", "It is a zip archive or a PyTorch checkpoint: get the model as GGUF."},
      {"lmgg", "It is of the old GGML format: get the model as GGUF."},
      {"fmgg", "It is of the old GGMF format: get the model as GGUF."},
      {"tjgg", "It is of the old GGJT format: get the model as GGUF."},
  };
  std::string_view advice = "Give the path of a .gguf file.";
  for (const Lookalike& lookalike : kLookalikes) {
    if (start == lookalike.magic) advice = lookalike.advice;
  }
  if (path.ends_with(".safetensors")) advice = "Convert it with llama.cpp's convert_hf_to_gguf.py first.";
  return Status(Code::kInvalidArgument,
                fmt::format("{}: not a GGUF file, it begins with '{}'. {}", path, Printable(start), advice));
}

Status CheckVersion(const std::string& path, uint32_t version) {
  if (version >= 1 && version <= 3) return {};
  if ((version & 0xffff) == 0 && version != 0) {
    return Status(Code::kUnsupported,
                  fmt::format("{}: a big-endian GGUF file, for machines such as s390x. Get the little-endian one, or "
                              "convert it with gguf_convert_endian.py.",
                              path));
  }
  return Status(Code::kUnsupported, fmt::format("{}: GGUF version {}, while this headrace reads 1 to 3. {}", path,
                                                version, version == 0 ? "Fetch the file again." : "Update headrace."));
}

Result<FileHeader> Parse(HeaderCursor& cursor, Vocabulary* vocabulary) {
  FileHeader header;
  header.file_bytes = cursor.file_bytes();
  char magic[4] = {};
  for (char& c : magic) {
    if (!cursor.Read(&c)) return cursor.status();
  }
  if (std::string_view(magic, sizeof magic) != kMagic) {
    return NotGguf(cursor.path(), std::string_view(magic, sizeof magic));
  }
  if (!cursor.Read(&header.version)) return cursor.status();
  HEADRACE_RETURN_IF_ERROR(CheckVersion(cursor.path(), header.version));

  cursor.SetLengthBytes(header.version == 1 ? 4 : 8);
  uint64_t tensors = 0;
  uint64_t pairs = 0;
  if (!cursor.ReadLength(&tensors) || !cursor.ReadLength(&pairs)) return cursor.status();

  Result<Metadata> metadata = ReadMetadata(cursor, pairs, vocabulary);
  if (!metadata.ok()) return metadata.status();
  header.metadata = *std::move(metadata);

  auto table = ReadTensorTable(cursor, tensors, header.metadata.alignment);
  if (!table.ok()) return table.status();
  header.tensors = *std::move(table);
  return header;
}

}  // namespace

Result<FileHeader> ReadFileHeader(const std::string& path, Vocabulary* vocabulary) {
  if (path.empty()) return Status(Code::kInvalidArgument, "no model was given. Give the path of a .gguf file.");
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return OpenError(path, errno);
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0) return OpenError(path, errno);
  if (S_ISDIR(info.st_mode)) {
    return Status(Code::kInvalidArgument, fmt::format("{}: a directory. Give the path of a .gguf file in it.", path));
  }
  if (!S_ISREG(info.st_mode)) {
    return Status(Code::kInvalidArgument, fmt::format("{}: not a regular file. Give the path of a .gguf file.", path));
  }
  if (info.st_size == 0) {
    return Status(Code::kCorrupt, fmt::format("{}: empty. The download did not begin: fetch the file again.", path));
  }
  // The header alone: the kernel's read-ahead would go on into the weights.
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_RANDOM);
  HeaderCursor cursor(file.get(), static_cast<uint64_t>(info.st_size), path);
  return Parse(cursor, vocabulary);
}

}  // namespace headrace
