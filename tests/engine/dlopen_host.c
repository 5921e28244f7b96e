/* A host that opens llama.cpp at run time with local scope, as Node.js add-ons and Python packages do: nothing
 * of the engine is linked, every function comes from dlsym. Built as a program and as a library with the entry
 * point DlopenHostRun, for other language run times to load (also as a Node.js add-on).
 *
 *   dlopen_host MODEL OUT PROMPT_TOKENS DECODE_STEPS [REPACK]
 *
 * Writes the outputs of every position as a dump (dump.h). */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ggml-backend.h"
#include "llama.h"

static void* OpenLibrary(const char* name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", HEADRACE_ENGINE_LIB, name);
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) fprintf(stderr, "%s\n", dlerror());
  return library;
}

/* Declares a local pointer of the same name to a function of the engine. */
#define LOAD(library, function)                                                          \
  __typeof__(&function) p_##function = (__typeof__(&function))dlsym(library, #function); \
  if (p_##function == NULL) {                                                            \
    fprintf(stderr, "no function %s\n", #function);                                      \
    return 1;                                                                            \
  }

static void Write(FILE* file, const char* text, const float* values, uint64_t count) {
  char label[64] = {0};
  snprintf(label, sizeof label, "%s", text);
  fwrite(label, sizeof label, 1, file);
  fwrite(&count, sizeof count, 1, file);
  fwrite(values, sizeof *values, count, file);
}

static void Quiet(enum ggml_log_level level, const char* text, void* data) {
  (void)data;
  if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

__attribute__((visibility("default"))) int DlopenHostRun(const char* path, const char* out, int tokens, int steps,
                                                         int repack) {
  void* ggml = OpenLibrary("libggml.so.0");
  void* llama = OpenLibrary("libllama.so.0");
  if (ggml == NULL || llama == NULL) return 1;
  LOAD(ggml, ggml_backend_load_all_from_path)
  LOAD(ggml, ggml_backend_load_all)
  LOAD(llama, llama_log_set)
  LOAD(llama, llama_backend_init)
  LOAD(llama, llama_model_default_params)
  LOAD(llama, llama_model_load_from_file)
  LOAD(llama, llama_model_get_vocab)
  LOAD(llama, llama_vocab_n_tokens)
  LOAD(llama, llama_model_free)
  LOAD(llama, llama_context_default_params)
  LOAD(llama, llama_init_from_model)
  LOAD(llama, llama_free)
  LOAD(llama, llama_batch_init)
  LOAD(llama, llama_batch_free)
  LOAD(llama, llama_decode)
  LOAD(llama, llama_get_logits)

  p_llama_log_set(Quiet, NULL);
  if (HEADRACE_ENGINE_BACKENDS[0] != '\0') {
    p_ggml_backend_load_all_from_path(HEADRACE_ENGINE_BACKENDS);
  } else {
    p_ggml_backend_load_all();
  }
  p_llama_backend_init();
  struct llama_model_params model_params = p_llama_model_default_params();
  model_params.use_extra_bufts = repack != 0;
  struct llama_model* model = p_llama_model_load_from_file(path, model_params);
  if (model == NULL) return 1;
  const int words = p_llama_vocab_n_tokens(p_llama_model_get_vocab(model));
  struct llama_context_params params = p_llama_context_default_params();
  params.n_ctx = params.n_batch = 1024;
  params.n_threads = params.n_threads_batch = 2;
  struct llama_context* context = p_llama_init_from_model(model, params);
  FILE* file = fopen(out, "wb");
  if (context == NULL || file == NULL) return 1;

  int past = 0, count = tokens, code = 0;
  int32_t next = 0;
  for (int call = 0; call <= steps && code == 0; ++call) {
    struct llama_batch batch = p_llama_batch_init(count, 0, 1);
    batch.n_tokens = count;
    for (int i = 0; i < count; ++i) {
      batch.token[i] = call == 0 ? (i * 7919 + 13) % words : next;
      batch.pos[i] = past + i;
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = 0;
      batch.logits[i] = 1;
    }
    code = p_llama_decode(context, batch);
    p_llama_batch_free(batch);
    if (code != 0) {
      fprintf(stderr, "llama returned %d\n", code);
      break;
    }
    const float* logits = p_llama_get_logits(context);
    Write(file, call == 0 ? "prompt" : "step", logits, (uint64_t)count * (uint64_t)words);
    const float* last = logits + (size_t)(count - 1) * (size_t)words;
    next = 0;
    for (int i = 1; i < words; ++i) {
      if (last[i] > last[next]) next = i;
    }
    past += count;
    count = 1;
  }
  if (fclose(file) != 0) code = 1;
  p_llama_free(context);
  p_llama_model_free(model);
  return code == 0 ? 0 : 1;
}

/* Node.js calls this when it loads an add-on; what to do comes from the environment. */
__attribute__((visibility("default"))) void* napi_register_module_v1(void* environment, void* exports) {
  (void)environment;
  const char* model = getenv("DLOPEN_HOST_MODEL");
  const char* out = getenv("DLOPEN_HOST_OUT");
  if (model == NULL || out == NULL || DlopenHostRun(model, out, 40, 4, 0) != 0) exit(1);
  return exports;
}

int main(int argc, char** argv) {
  if (argc < 5) {
    fprintf(stderr, "dlopen_host MODEL OUT PROMPT_TOKENS DECODE_STEPS [REPACK]\n");
    return 2;
  }
  return DlopenHostRun(argv[1], argv[2], atoi(argv[3]), atoi(argv[4]), argc > 5 ? atoi(argv[5]) : 0);
}
