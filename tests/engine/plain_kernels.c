/* Preloaded into stock llama.cpp, it hides the repacked kernels: what --repack 0 does for llama.cpp's own programs, for
 * hosts and releases without such an option. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

typedef void* (*GetProcAddress)(void* registry, const char* name);

__attribute__((visibility("default"))) void* ggml_backend_reg_get_proc_address(void* registry, const char* name) {
  if (strcmp(name, "ggml_backend_dev_get_extra_bufts") == 0) return NULL;
  /* The engine was opened with local scope: its own function is found through the caller. */
  Dl_info caller;
  if (dladdr(__builtin_return_address(0), &caller) == 0) return NULL;
  void* library = dlopen(caller.dli_fname, RTLD_NOLOAD | RTLD_LAZY);
  GetProcAddress real = library == NULL ? NULL : (GetProcAddress)dlsym(library, "ggml_backend_reg_get_proc_address");
  return real == NULL ? NULL : real(registry, name);
}
