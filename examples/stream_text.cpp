// Continues a text with a model whose weights stream from disk, through llama.cpp's own API.
//
//   headrace_example MODEL.gguf GIB_FOR_WEIGHTS PROMPT [TOKENS]
//
// Only three calls are headrace's: configure before the model is loaded, statistics and the last error
// afterwards.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "headrace/headrace.h"
#include "llama.h"

namespace {

int Fail(const char* what) {
  const char* reason = headrace_last_error();
  std::fprintf(stderr, "headrace_example: %s%s%s\n", what, *reason != '\0' ? ": " : "", reason);
  return 1;
}

bool Generate(llama_context* context, const llama_vocab* vocab, std::vector<llama_token> tokens, int count) {
  llama_sampler* sampler = llama_sampler_init_greedy();
  bool ok = true;
  for (int i = 0; i < count && ok; ++i) {
    ok = llama_decode(context, llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size()))) == 0;
    if (!ok) break;
    const llama_token next = llama_sampler_sample(sampler, context, -1);
    if (llama_vocab_is_eog(vocab, next)) break;
    char piece[256];
    const int length = llama_token_to_piece(vocab, next, piece, sizeof piece, 0, true);
    if (length > 0) std::fwrite(piece, 1, static_cast<size_t>(length), stdout);
    std::fflush(stdout);
    tokens = {next};
  }
  std::fputc('\n', stdout);
  llama_sampler_free(sampler);
  return ok;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "Usage: headrace_example MODEL.gguf GIB_FOR_WEIGHTS PROMPT [TOKENS]\n");
    return 2;
  }
  headrace_config config;
  headrace_config_default(&config);
  config.flash_mode = HEADRACE_FLASH_ON;
  config.flash_ram_gb = std::atof(argv[2]);
  if (headrace_configure(&config) != 0) return Fail("configuration refused");

  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  ggml_backend_load_all();
  llama_model* model = llama_model_load_from_file(argv[1], llama_model_default_params());
  if (model == nullptr) return Fail("the model cannot be loaded");
  llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = 2048;
  llama_context* context = llama_init_from_model(model, parameters);
  if (context == nullptr) return Fail("no context for the model");

  const llama_vocab* vocab = llama_model_get_vocab(model);
  const std::string prompt = argv[3];
  std::vector<llama_token> tokens(prompt.size() + 8);
  const int count = llama_tokenize(vocab, prompt.data(), static_cast<int32_t>(prompt.size()), tokens.data(),
                                   static_cast<int32_t>(tokens.size()), true, true);
  if (count <= 0) return Fail("the prompt has no tokens");
  tokens.resize(static_cast<size_t>(count));
  std::fputs(prompt.c_str(), stdout);
  const bool generated = Generate(context, vocab, tokens, argc > 4 ? std::atoi(argv[4]) : 48);

  headrace_stats stats{};
  stats.struct_size = sizeof stats;
  if (headrace_get_stats(&stats) == 0 && stats.streaming) {
    std::fprintf(stderr, "%.1f MiB resident, %.1f MiB streamed per pass, %llu passes, %.1f MiB read\n",
                 static_cast<double>(stats.resident_bytes) / 1048576,
                 static_cast<double>(stats.streamed_bytes_per_pass) / 1048576,
                 static_cast<unsigned long long>(stats.passes), static_cast<double>(stats.bytes_read) / 1048576);
  }
  llama_free(context);
  llama_model_free(model);
  llama_backend_free();
  return generated ? 0 : Fail("the model could not be computed");
}
