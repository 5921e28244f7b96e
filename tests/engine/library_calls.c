// Preloaded behind libheadrace: changes what its own calls of libc return, and nobody else's.
//   LIBRARY_SEES_NOISE=BYTES   what it reads of a file's beginning by pread is noise from the fifth byte on, so many
//   bytes: as if a header
//                              had a form, and tensors types, that nobody knows yet
//   LIBRARY_OPENS_NO_MODEL=1   it may not open a model file again, as a process that has given up rights may not
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int by_library(void* caller) {
  Dl_info info;
  return dladdr(caller, &info) != 0 && info.dli_fname != NULL && strstr(info.dli_fname, "libheadrace") != NULL;
}

static ssize_t read_at(int fd, void* buffer, size_t bytes, off_t offset, void* caller) {
  const ssize_t got = syscall(SYS_pread64, fd, buffer, bytes, offset);
  const char* noise = getenv("LIBRARY_SEES_NOISE");
  if (got <= 0 || noise == NULL || !by_library(caller)) return got;
  const off_t end = atoll(noise);
  for (off_t at = offset; at < offset + got && at < end; ++at) {
    if (at >= 4) ((unsigned char*)buffer)[at - offset] = (unsigned char)(at * 151 + 43);
  }
  return got;
}

ssize_t pread(int fd, void* buffer, size_t bytes, off_t offset) {
  return read_at(fd, buffer, bytes, offset, __builtin_return_address(0));
}
ssize_t pread64(int fd, void* buffer, size_t bytes, off_t offset) {
  return read_at(fd, buffer, bytes, offset, __builtin_return_address(0));
}

static int open_file(const char* path, int flags, mode_t mode, void* caller) {
  if (getenv("LIBRARY_OPENS_NO_MODEL") != NULL && by_library(caller)) {
    char target[4096];
    const ssize_t length = readlink(path, target, sizeof target - 1);
    const char* name = path;
    if (length > 0) {
      target[length] = '\0';
      name = target;
    }
    const size_t bytes = strlen(name);
    if (bytes > 5 && strcmp(name + bytes - 5, ".gguf") == 0) {
      errno = EACCES;
      return -1;
    }
  }
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define MODE_OF(flags)                        \
  mode_t mode = 0;                            \
  if ((flags & (O_CREAT | O_TMPFILE)) != 0) { \
    va_list arguments;                        \
    va_start(arguments, flags);               \
    mode = va_arg(arguments, mode_t);         \
    va_end(arguments);                        \
  }

int open(const char* path, int flags, ...) {
  MODE_OF(flags)
  return open_file(path, flags, mode, __builtin_return_address(0));
}

int open64(const char* path, int flags, ...) {
  MODE_OF(flags)
  return open_file(path, flags | O_LARGEFILE, mode, __builtin_return_address(0));
}
