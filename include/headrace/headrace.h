/* headrace: flash weight streaming for llama.cpp, for programs that link it themselves.
 *
 * Link libheadrace before libllama (or preload it): it must be found first. Configure before the first
 * model is loaded; everything else is llama.cpp's own API. Without configuration the library takes it
 * from the environment (HEADRACE_RAM and others, see docs/configuration.md) and, without that, does nothing.
 *
 * All functions are thread-safe and never throw, abort or print.
 */
#ifndef HEADRACE_HEADRACE_H
#define HEADRACE_HEADRACE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HEADRACE_API __attribute__((visibility("default")))

enum headrace_flash_mode {
  HEADRACE_FLASH_OFF = 0,  /* never stream */
  HEADRACE_FLASH_AUTO = 1, /* stream a model that is larger than the budget */
  HEADRACE_FLASH_ON = 2    /* stream every model */
};

enum headrace_kernels {
  HEADRACE_KERNELS_AUTO = 0,
  HEADRACE_KERNELS_PLAIN = 1, /* the bits of llama.cpp without repacking */
  HEADRACE_KERNELS_REPACK = 2 /* the bits of llama.cpp with repacking, its default */
};

struct headrace_config {
  size_t struct_size;    /* sizeof(struct headrace_config) */
  int flash_mode;        /* enum headrace_flash_mode */
  int kernels;           /* enum headrace_kernels */
  double flash_ram_gb;   /* memory for weights in GiB; 0: what ram_gb leaves */
  int flash_debug;       /* 1: say on standard error what was decided */
  double ram_gb;         /* memory for the whole process in GiB; 0: without flash_ram_gb what the machine and its
                            limits (cgroups, ulimit) leave, less a tenth, with it no limit but that one */
  int lock;              /* 1: lock the memory of weights, so that it is never swapped */
  const char* kv_dir;    /* folder on a disk for a KV cache larger than kv_ram_gb; null: it stays in memory */
  double kv_ram_gb;      /* memory for KV caches in GiB; 0: a quarter of that for the whole process */
  double kv_disk_max_gb; /* most that KV caches may take of the disk; 0: what is free */
};

struct headrace_stats {
  size_t struct_size;    /* set by the caller to sizeof(struct headrace_stats) */
  int streaming;         /* 1: at least one model streams */
  uint64_t budget_bytes; /* memory for weights */
  uint64_t weight_bytes; /* of all streaming models */
  uint64_t resident_bytes;
  uint64_t streamed_bytes_per_pass;
  uint64_t passes;
  uint64_t bytes_read;
  uint64_t reads_retried;
  uint64_t reads_failed;
  uint64_t pass_ns;   /* wall time of all passes */
  uint64_t wait_ns;   /* of that: waiting for the disk */
  uint64_t kernel_ns; /* of that: in ggml's kernels, repacking included */
};

/* The defaults: mode auto, kernels auto, all memory that the machine and its limits leave but a tenth, KV caches in
   memory. */
HEADRACE_API void headrace_config_default(struct headrace_config* config);

/* Returns 0, or -1 with headrace_last_error() when a value is out of range, struct_size is unknown, or a
 * model was loaded before. */
HEADRACE_API int headrace_configure(const struct headrace_config* config);

/* Replaces flash_ram_gb, also while a model computes, and in its callbacks; waits for no pass. What is over it is given
 * back at once or, in a running pass, before its next product; what is below it is filled by the passes that follow.
 * Results stay the same bits. Below the least that streaming needs, that is used. Returns 0, or -1 with
 * headrace_last_error() for a value that is not above 0. */
HEADRACE_API int headrace_set_flash_ram_gb(double flash_ram_gb);

/* Fills *stats. Returns 0, or -1 with headrace_last_error() when struct_size is unknown. */
HEADRACE_API int headrace_get_stats(struct headrace_stats* stats);

/* What failed last in this process, in whichever thread, "" when nothing did: a pass, a call of these functions, a
 * model that cannot stream. Valid in this thread until it asks again. */
HEADRACE_API const char* headrace_last_error(void);

/* "0.1.0" */
HEADRACE_API const char* headrace_version(void);

#ifdef __cplusplus
}
#endif

#endif
