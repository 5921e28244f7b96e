// Seam 1, the loader: the functions that llama.cpp calls to open and map a model. For a model that
// streams, the mapping is made without reading the file; everything else passes straight through.
//
// The mapping stays a valid mapping of the file: whatever reads a weight in a way that headrace does not
// manage still reads the right bytes.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

#include "base/log.h"
#include "ggml-backend.h"
#include "gguf.h"
#include "hook/engine_symbols.h"
#include "hook/runtime.h"

#define HEADRACE_SEAM __attribute__((visibility("default")))

namespace headrace {
namespace {

// The system calls themselves: they need no symbol search, and these functions are called early, from
// everywhere.
void* RealMmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) {
  return reinterpret_cast<void*>(::syscall(SYS_mmap, address, length, protection, flags, fd, offset));
}

int RealMadvise(void* address, size_t length, int advice) {
  return static_cast<int>(::syscall(SYS_madvise, address, length, advice));
}

bool HasGgufMagic(int fd) {
  char magic[4];
  return ::pread(fd, magic, sizeof magic, 0) == sizeof magic && std::memcmp(magic, GGUF_MAGIC, sizeof magic) == 0;
}

// The engine opens a path itself and goes on with the open file.
thread_local bool t_within_init = false;

// The bytes of all tensors of a file, as the engine read its header; none when an engine lacks the functions.
std::optional<uint64_t> WeightBytes(const gguf_context* header, void* caller) {
  const auto count = Behind<decltype(::gguf_get_n_tensors)>("gguf_get_n_tensors", caller);
  const auto size = Behind<decltype(::gguf_get_tensor_size)>("gguf_get_tensor_size", caller);
  if (count == nullptr || size == nullptr) return std::nullopt;
  uint64_t bytes = 0;
  for (int64_t i = 0; i < count(header); ++i) {
    if (__builtin_add_overflow(bytes, size(header, i), &bytes)) return std::nullopt;
  }
  return bytes;
}

void OnHeader(const gguf_context* header, const struct stat& info, const std::string& path, uint64_t room,
              void* caller) {
  if (!S_ISREG(info.st_mode)) return;
  const int saved_errno = errno;
  Runtime::Get().OnModelHeader(FileVersion::Of(info), path, WeightBytes(header, caller), room);
  errno = saved_errno;
}

void* Map(void* address, size_t length, int protection, int flags, int fd, off_t offset, void* caller) {
  const bool candidate = fd >= 0 && protection == PROT_READ && (flags & MAP_SHARED) != 0 && (flags & MAP_FIXED) == 0;
  if (!candidate || !Runtime::Get().enabled()) return RealMmap(address, length, protection, flags, fd, offset);
  const int saved_errno = errno;
  Runtime& runtime = Runtime::Get();
  struct stat info {};
  const bool model = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && HasGgufMagic(fd);
  const auto engine = model ? runtime.StreamingEngineOf(fd, caller) : nullptr;
  if (engine != nullptr) flags &= ~MAP_POPULATE;
  errno = saved_errno;
  void* mapping = RealMmap(address, length, protection, flags, fd, offset);
  if (mapping != MAP_FAILED && model) {
    runtime.OnMapped(mapping, length, fd, static_cast<uint64_t>(offset), engine);
  }
  return mapping;
}

}  // namespace
}  // namespace headrace

extern "C" {

HEADRACE_SEAM void* mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) noexcept {
  return headrace::Map(address, length, protection, flags, fd, offset, __builtin_return_address(0));
}

HEADRACE_SEAM void* mmap64(void* address, size_t length, int protection, int flags, int fd, off64_t offset) noexcept {
  return headrace::Map(address, length, protection, flags, fd, offset, __builtin_return_address(0));
}

HEADRACE_SEAM int munmap(void* address, size_t length) noexcept {
  if (headrace::Runtime::HasMappings()) headrace::Runtime::Get().OnUnmap(address, length);
  return static_cast<int>(::syscall(SYS_munmap, address, length));
}

// "Will need all of it" would read the whole file.
HEADRACE_SEAM int posix_madvise(void* address, size_t length, int advice) noexcept {
  if (advice == POSIX_MADV_DONTNEED) return 0;  // as glibc: it would lose changes
  if (headrace::Runtime::HasMappings() && headrace::Runtime::Get().Streams(address, length)) return 0;
  const int saved_errno = errno;
  const int result = headrace::RealMadvise(address, length, advice) == 0 ? 0 : errno;
  errno = saved_errno;
  return result;
}

HEADRACE_SEAM int madvise(void* address, size_t length, int advice) noexcept {
  const bool reads_ahead =
      advice == MADV_WILLNEED || advice == MADV_SEQUENTIAL || advice == MADV_NORMAL || advice == MADV_POPULATE_READ;
  if (reads_ahead && headrace::Runtime::HasMappings() && headrace::Runtime::Get().Streams(address, length)) return 0;
  return headrace::RealMadvise(address, length, advice);
}

HEADRACE_SEAM int mlock(const void* address, size_t length) noexcept {
  if (headrace::Runtime::HasMappings() && headrace::Runtime::Get().Streams(address, length)) {
    static std::atomic_flag said;
    if (!said.test_and_set()) headrace::LogWarning("the model streams from disk: its mapping is not locked in memory");
    return 0;
  }
  return static_cast<int>(::syscall(SYS_mlock, address, length));
}

HEADRACE_SEAM gguf_context* gguf_init_from_file(const char* path, gguf_init_params parameters) {
  const auto real = HEADRACE_BEHIND(gguf_init_from_file);
  if (real == nullptr) return nullptr;
  void* const caller = __builtin_return_address(0);
  const auto room = headrace::Runtime::Get().BeforeModelHeader(caller);
  headrace::t_within_init = true;
  gguf_context* const header = real(path, parameters);
  headrace::t_within_init = false;
  struct stat info {};
  if (room && header != nullptr && ::stat(path, &info) == 0) headrace::OnHeader(header, info, path, *room, caller);
  return header;
}

HEADRACE_SEAM gguf_context* gguf_init_from_file_ptr(FILE* file, gguf_init_params parameters) {
  const auto real = HEADRACE_BEHIND(gguf_init_from_file_ptr);
  if (real == nullptr) return nullptr;
  if (headrace::t_within_init) return real(file, parameters);
  void* const caller = __builtin_return_address(0);
  const auto room = headrace::Runtime::Get().BeforeModelHeader(caller);
  gguf_context* const header = real(file, parameters);
  struct stat info {};
  if (room && header != nullptr && ::fstat(::fileno(file), &info) == 0) {
    headrace::OnHeader(header, info, headrace::PathOfDescriptor(::fileno(file)), *room, caller);
  }
  return header;
}

// The loader asks for the buffer types of repacked kernels by name. Without them a streaming model's
// weights stay mapped, whatever options the program was given; the executor repacks by itself.
HEADRACE_SEAM void* ggml_backend_reg_get_proc_address(ggml_backend_reg_t registry, const char* name) {
  const auto real = HEADRACE_BEHIND(ggml_backend_reg_get_proc_address);
  if (real == nullptr) return nullptr;
  if (name != nullptr && std::strcmp(name, "ggml_backend_dev_get_extra_bufts") == 0 &&
      headrace::Runtime::Get().loading_streams()) {
    return nullptr;
  }
  return real(registry, name);
}

}  // extern "C"
