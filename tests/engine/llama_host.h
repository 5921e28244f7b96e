// What the child programs share: loading a model, a context, deterministic input and the dump of what came
// out. Built against the engine's public headers only; everything that fails ends the program with a line.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dump.h"
#include "llama.h"

namespace headrace::testing {

// Writes one line to standard error and exits with status 1.
[[noreturn]] void Die(const char* format, ...) __attribute__((format(printf, 1, 2)));

// --name value pairs. Unknown names and missing values end the program.
class Options {
 public:
  Options(int argc, char** argv, int first, std::vector<std::string> known);
  std::string Text(const std::string& name, const std::string& otherwise) const;
  int Int(const std::string& name, int otherwise) const;
  std::vector<int> Ints(const std::string& name, const std::string& otherwise) const;  // "1,7,64"

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

// What the kernel does in the mappings of model files: "reads ahead", "does not read ahead", or "reads ahead in part".
// There is one.
std::string AdviceInModels();

// Loads the engine's CPU backends, and the one that GGML_BACKEND_PATH names; silences its log below errors.
void StartEngine();

// Adds the devices of an RPC server to the engine's.
void AddRpcServer(const std::string& endpoint);

struct FreeModel {
  void operator()(llama_model* model) const { llama_model_free(model); }
};
struct FreeContext {
  void operator()(llama_context* context) const { llama_free(context); }
};
using Model = std::unique_ptr<llama_model, FreeModel>;

// repack: what --repack 0 and 1 of the engine's programs set. gpu_layers: --n-gpu-layers. on_processor: tensors whose
// name matches stay on the processor all the same, as with --override-tensor PATTERN=CPU; "" for none.
Model LoadModel(const std::string& path, bool repack, int gpu_layers = 0, const std::string& on_processor = "");

struct SessionOptions {
  int context_tokens = 1024;
  int ubatch = 512;
  int threads = 2;
  int sequences = 1;
  bool embeddings = false;
  bool mean_pooling = false;             // with embeddings: one vector for a sequence
  bool unified = true;                   // one pool of KV cells for all sequences
  ggml_type cache_type = GGML_TYPE_F16;  // of keys and values
  bool flash_attention = true;           // else values are stored transposed
  bool op_offload = true;  // wide products with weights on the processor are computed by a device, where there is one
  size_t moe_cache_bytes = 0;  // of the engine's own cache of experts on a device
  ggml_backend_sched_eval_callback cb_eval = nullptr;
  void* cb_eval_data = nullptr;
  ggml_abort_callback abort = nullptr;
  void* abort_data = nullptr;
};

// A context of a model, fed with pseudo-random tokens. The model must outlive it. Not thread-safe.
class Session {
 public:
  Session(llama_model* model, const SessionOptions& options, uint32_t seed = 1);

  void Clear();  // forgets all sequences and restarts the pseudo-random tokens

  // One llama_decode (for a model with an encoder: llama_encode, then llama_decode of the start token) of
  // count pseudo-random tokens with every position's output. Returns llama's code, 0 for success.
  int Prompt(int count);
  // One llama_decode of the tokens that the last outputs make most probable, one for each sequence.
  int Step();
  // Once more what has failed, at the position that the engine's memory is at, as programs do that leave positions to
  // the engine.
  int Retry();

  // Takes `count` positions from `keep` on out of every sequence and moves the later ones up.
  void Shift(int keep, int count);
  // Makes all sequences equal the first one.
  void CopyFirst();
  // The state as the engine saves it to a file, and back; the pseudo-random tokens go on.
  std::vector<uint8_t> Save();
  void Restore(const std::vector<uint8_t>& state);
  // The same of the first sequence in a file, as prompt caches and slots are saved. Loading needs no prompt before.
  void SaveFile(const std::string& path);
  void LoadFile(const std::string& path);

  // Appends the outputs of the last call: logits and, if asked for or the only ones, embeddings.
  void Dump(DumpWriter& dump, const std::string& label);
  // A hash over the same floats, for programs that print instead.
  uint64_t Hash();

  llama_context* context() { return context_.get(); }

 private:
  struct Output {
    const char* what;
    const float* values;
    uint64_t count;
  };
  int Evaluate(const std::vector<llama_token>& tokens, bool encode, int sequences);
  std::vector<Output> Outputs();
  llama_token NextToken();
  llama_token Greedy(int output) const;

  llama_model* model_;
  const llama_vocab* vocab_;
  SessionOptions options_;
  uint32_t seed_;
  uint64_t random_ = 0;
  std::unique_ptr<llama_context, FreeContext> context_;
  std::vector<llama_token> last_;  // tokens of the last call
  int past_ = 0;                   // positions in every sequence
  int saved_past_ = 0;
  int outputs_ = 0;    // of the last call
  int sequences_ = 1;  // that the outputs belong to
};

}  // namespace headrace::testing
