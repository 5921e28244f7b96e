// headrace-load-time: how long the engine takes to load a model, and what it reads from disk for it. Run it with
// libheadrace.so preloaded and without.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstring>

#include <llama.h>

namespace {

constexpr const char* kUsage =
    "Usage: headrace-load-time [--metadata-only] MODEL\n\n"
    "Loads MODEL with mmap through llama.cpp's C API and prints one JSON object: load_ms, the pages and\n"
    "blocks that were read for it. --metadata-only loads no weights (llama_model_params.no_alloc): what the\n"
    "engine itself needs for any model of this shape.\n\n"
    "Example: LD_PRELOAD=libheadrace.so HEADRACE_WEIGHTS_RAM=1G headrace-load-time model.gguf\n";

// Errors are the engine's own lines; the rest would drown them.
void LogErrors(ggml_log_level level, const char* text, void*) {
  if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
}

}  // namespace

int main(int argc, char** argv) {
  bool metadata_only = false;
  const char* path = nullptr;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--metadata-only") == 0) {
      metadata_only = true;
    } else if (std::strcmp(argv[i], "--help") == 0 || std::strcmp(argv[i], "-h") == 0) {
      std::fputs(kUsage, stdout);
      return 0;
    } else if (argv[i][0] == '-' || path != nullptr) {
      std::fputs(kUsage, stderr);
      return 2;
    } else {
      path = argv[i];
    }
  }
  if (path == nullptr) {
    std::fputs(kUsage, stderr);
    return 2;
  }

  llama_log_set(LogErrors, nullptr);
#ifdef HEADRACE_ENGINE_BACKENDS
  ggml_backend_load_all_from_path(HEADRACE_ENGINE_BACKENDS);
#else
  ggml_backend_load_all();
#endif
  llama_backend_init();
  llama_model_params params = llama_model_default_params();
  params.load_mode = metadata_only ? LLAMA_LOAD_MODE_NONE : LLAMA_LOAD_MODE_MMAP;
  params.no_alloc = metadata_only;

  rusage before{}, after{};
  ::getrusage(RUSAGE_SELF, &before);
  const auto start = std::chrono::steady_clock::now();
  llama_model* model = llama_model_load_from_file(path, params);
  const double load_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  ::getrusage(RUSAGE_SELF, &after);
  if (model == nullptr) {
    std::fprintf(stderr, "headrace-load-time: the engine cannot load %s\n", path);
    return 1;
  }
  std::printf(
      "{\"load_ms\": %.3f, \"major_faults\": %ld, \"minor_faults\": %ld, \"blocks_read\": %ld, \"model_bytes\": "
      "%llu}\n",
      load_ms, after.ru_majflt - before.ru_majflt, after.ru_minflt - before.ru_minflt,
      after.ru_inblock - before.ru_inblock, static_cast<unsigned long long>(llama_model_size(model)));
  llama_model_free(model);
  llama_backend_free();
  return 0;
}
