// What the engine will allocate beside weights, learned without reading them: its program llama-fit-params loads a
// model's header, simulates all allocations for the given options and prints their sizes. So every architecture
// is right (sliding windows, recurrent states, compressed caches) that the engine itself gets right.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/arguments.h"
#include "engine/engine_locator.h"
#include "engine/engine_probe.h"

namespace headrace::cli {

// What one device has, as the engine counts it.
struct DeviceMemory {
  std::string name;
  uint64_t weight_bytes = 0, context_bytes = 0, compute_bytes = 0;

  uint64_t total_bytes() const { return weight_bytes + context_bytes + compute_bytes; }
};

struct EngineMemory {
  uint64_t context_bytes = 0;       // KV caches and recurrent states, as far as they are in memory
  uint64_t context_file_bytes = 0;  // all of them, when they live in a file; else 0
  uint64_t compute_bytes = 0;       // activations, logits, masks
  uint64_t engine_bytes = 0;        // code, vocabulary, threads
  uint64_t projector_bytes = 0;     // weights of a multimodal projector, which do not stream
  uint64_t prompt_cache_bytes = 0;  // of a server, when one was asked for
  uint64_t adapter_bytes = 0;       // LoRA adapters and control vectors
  uint64_t checkpoint_bytes = 0;    // of a server: states of earlier places of its slots' prompts
  uint64_t draft_weight_bytes = 0;  // of a draft model, which stays in memory
  uint64_t draft_rest_bytes = 0;  // of the above: its KV cache and activations, or those of the model's own draft head
  std::vector<DeviceMemory> devices;  // beside all of this
  uint64_t shared_device_bytes =
      0;  // of these devices: what is the machine's memory all the same, as some have none of their own

  // All but weights that can stream.
  uint64_t rest_bytes() const {
    return context_bytes + compute_bytes + engine_bytes + projector_bytes + prompt_cache_bytes + adapter_bytes +
           checkpoint_bytes + shared_device_bytes;
  }
};

// Of a program's arguments, in their order, those that change what it allocates and that `known` (of
// llama-fit-params) lists. Pure.
EngineArguments MemoryArguments(const EngineArguments& arguments, const OptionNames& known);

// llama-server's own numbers.
inline constexpr uint64_t kServerSlots = 4;
inline constexpr uint64_t kServerCheckpoints = 32;    // for each slot
inline constexpr uint64_t kServerPromptCache = 8192;  // MiB

// The lines of "DEVICE MODEL CONTEXT COMPUTE" (MiB); only context_bytes and compute_bytes, of the host's line, and
// devices are set. Nullopt without the host's line. Pure.
std::optional<EngineMemory> ParseFitPrint(std::string_view output);

// The same for llama-server, which listens on a socket. Pure.
EngineArguments ServerMemoryArguments(EngineArguments arguments);

class EngineSimulation {
 public:
  // `arguments` are those of the program that will run, -m with the model among them. Errors: kNotFound when the
  // engine has neither llama-fit-params nor one program for all, kUnsupported when it cannot print sizes.
  static Result<EngineSimulation> Prepare(const Engine& engine, const EngineArguments& arguments);

  // Asks for other arguments from now on; what is the same for them is not simulated again.
  void SetArguments(const EngineArguments& arguments);

  // With `more` arguments behind the others. A draft model and a projector are included. Takes some tenths of a
  // second, the second time nothing. Errors: kUnsupported with the engine's last line.
  Result<EngineMemory> Run(const EngineArguments& more = {});

  // What one checkpoint of one sequence takes: recurrent states and sliding windows, which cannot be taken back to an
  // earlier place otherwise. 0 where the model has neither.
  Result<uint64_t> StateBytes();
  // Sequences that the program keeps.
  uint64_t slots() const { return slots_; }

  // Tokens of context that were asked for, 0: as many as the model knows.
  uint64_t context_tokens() const;

 private:
  Result<EngineMemory> RunOne(EngineArguments arguments);
  Result<EngineMemory> RunModel(const EngineArguments& arguments);
  Result<EngineMemory> RunSequences(const EngineArguments& arguments);
  Status AddHead(const EngineArguments& arguments, EngineMemory& memory);
  Result<uint64_t> StateBytesOf(const std::string& model);

  std::string program_;
  std::vector<std::string> command_;       // its first word, where it is llama.cpp's one program for all
  OptionNames options_;                    // of it
  EngineArguments arguments_;              // without -m
  std::string model_, draft_, projector_;  // paths, "" for none
  std::string draft_type_k_, draft_type_v_, draft_layers_;
  std::vector<std::string> adapters_;  // paths
  uint64_t prompt_cache_bytes_ = 0, checkpoints_ = 0, slots_ = 1;
  bool serves_ = false;                                     // llama-server
  bool unified_ = false;                                    // one KV cache for all sequences
  bool head_ = false;                                       // the model drafts with its own head
  std::map<std::vector<std::string>, EngineMemory> known_;  // by the program's arguments
};

}  // namespace headrace::cli
