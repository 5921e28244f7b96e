// Writes every logit (or embedding) of some prompts and of greedy decode steps after each to a file.
//
//   logits_dump --model M.gguf --out FILE [--repack 0|1] [--prompts 1,7,64] [--decode N] [--threads N]
//               [--ubatch N] [--sequences N] [--embeddings none|tokens|mean] [--gpu-layers N] [--on-processor REGEX]
//               [--op-offload 0|1] [--moe-cache-kib N] [--rpc HOST:PORT]
//
// Standard output says "tasks N": the threads of the process before the model is freed.
#include <dirent.h>
#include <sys/types.h>

#include "llama_host.h"

namespace {

using namespace headrace::testing;

int CountTasks() {
  int count = 0;
  DIR* directory = opendir("/proc/self/task");
  if (directory == nullptr) Die("no /proc/self/task");
  while (const dirent* entry = readdir(directory)) count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options(
      argc, argv, 1,
      {"--model", "--out", "--repack", "--prompts", "--decode", "--threads", "--ubatch", "--sequences", "--embeddings",
       "--gpu-layers", "--on-processor", "--op-offload", "--moe-cache-kib", "--rpc"});
  const std::vector<int> prompts = options.Ints("--prompts", "1,7,64");
  const int decode = options.Int("--decode", 3);
  const std::string embeddings = options.Text("--embeddings", "none");

  StartEngine();
  if (const std::string endpoint = options.Text("--rpc", ""); !endpoint.empty()) AddRpcServer(endpoint);
  const Model model = LoadModel(options.Text("--model", ""), options.Int("--repack", 0) != 0,
                                options.Int("--gpu-layers", 0), options.Text("--on-processor", ""));
  SessionOptions session_options;
  session_options.threads = options.Int("--threads", 2);
  session_options.ubatch = options.Int("--ubatch", 512);
  session_options.sequences = options.Int("--sequences", 1);
  session_options.embeddings = embeddings != "none";
  session_options.mean_pooling = embeddings == "mean";
  session_options.op_offload = options.Int("--op-offload", 1) != 0;
  session_options.moe_cache_bytes = static_cast<size_t>(options.Int("--moe-cache-kib", 0)) * 1024;
  int longest = 0;
  for (const int prompt : prompts) longest = std::max(longest, prompt);
  session_options.context_tokens = (longest + decode + 1) * session_options.sequences;
  // The engine rounds contexts up; a power of two keeps graphs of nearby lengths alike.
  session_options.context_tokens = (session_options.context_tokens + 255) / 256 * 256;

  Session session(model.get(), session_options);
  DumpWriter dump(options.Text("--out", "/dev/null"));
  for (const int prompt : prompts) {
    session.Clear();
    if (const int code = session.Prompt(prompt); code != 0) Die("prompt of %d tokens: llama returned %d", prompt, code);
    const std::string label = "prompt " + std::to_string(prompt);
    session.Dump(dump, label);
    if (!llama_model_has_decoder(model.get()) || session_options.mean_pooling) continue;
    for (int step = 0; step < decode; ++step) {
      if (const int code = session.Step(); code != 0)
        Die("%s, decode step %d: llama returned %d", label.c_str(), step, code);
      session.Dump(dump, label + " step " + std::to_string(step));
    }
  }
  std::printf("tasks %d\n", CountTasks());
  return 0;
}
