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
#include <cstring>

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

void* Map(void* address, size_t length, int protection, int flags, int fd, off_t offset, void* caller) {
  const bool candidate = fd >= 0 && protection == PROT_READ && (flags & MAP_SHARED) != 0 && (flags & MAP_FIXED) == 0;
  if (!candidate || !Runtime::Get().enabled()) return RealMmap(address, length, protection, flags, fd, offset);
  const int saved_errno = errno;
  Runtime& runtime = Runtime::Get();
  struct stat info {};
  const bool model = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && HasGgufMagic(fd);
  const bool streams = model && runtime.StreamsFile(fd, caller);
  if (streams) flags &= ~MAP_POPULATE;
  errno = saved_errno;
  void* mapping = RealMmap(address, length, protection, flags, fd, offset);
  if (mapping != MAP_FAILED && model) {
    if (streams) RealMadvise(mapping, length, MADV_RANDOM);
    runtime.OnMapped(mapping, length, fd, static_cast<uint64_t>(offset), caller);
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
  const bool reads_ahead = advice == MADV_WILLNEED || advice == MADV_SEQUENTIAL || advice == MADV_NORMAL ||
                           advice == MADV_POPULATE_READ;
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
  if (path != nullptr) headrace::Runtime::Get().OnModelHeader(path, __builtin_return_address(0));
  return real(path, parameters);
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
