// The command lines of the engine's programs. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/arguments.h"
#include "engine/engine_probe.h"
#include "models/modelfile.h"

namespace headrace::cli {

// Conveniences that are handed to the engine under its own names, when the user gave them.
struct EngineSettings {
  std::optional<std::string> tokens;       // -n
  std::optional<std::string> context;      // -c
  std::optional<std::string> threads;      // -t
  std::optional<std::string> seed;         // --seed
  std::optional<std::string> temperature;  // --temp
};

struct RunArguments {
  std::string model;
  std::optional<std::string> prompt;       // none: chat
  std::optional<std::string> prompt_file;  // instead of prompt
  bool use_chat_template = false;          // answer one turn of a chat instead of continuing the text
  uint64_t model_context = 0;              // the model's own context length, 0 unknown
  bool streams = false;                    // weights will be streamed: the mapping must be kept
  bool debug = false;                      // let the engine log
  EngineSettings settings;
  std::string system_prompt;           // "" for none
  std::vector<EngineOption> defaults;  // a Modelfile's: what settings and rest say goes before
  EngineArguments rest;                // everything after --

  bool one_answer() const { return prompt.has_value() || prompt_file.has_value(); }
};

// Context in tokens where neither the user nor the model asks for less: a model's own maximum (131072 and
// more) would take a KV cache larger than many machines' memory.
inline constexpr uint64_t kDefaultContext = 4096;
// `model_context` is the model's own, 0 unknown.
constexpr uint64_t DefaultContext(uint64_t model_context) {
  return model_context == 0 || model_context > kDefaultContext ? kDefaultContext : model_context;
}

// The engine takes 0 for the model's own; as its number it is counted too.
inline std::string ContextText(const std::string& asked, uint64_t model_context) {
  return asked == "0" && model_context > 0 ? std::to_string(model_context) : asked;
}

// Arguments for llama-completion (one answer) or llama-cli (chat). Options that `known` does not list are
// left out, but those the user asked for are an error (kUnsupported). What `rest` sets is not set twice.
Result<EngineArguments> BuildRunArguments(const RunArguments& run, const OptionNames& known);

struct BenchArguments {
  std::string model;
  unsigned prompt_tokens = 512;
  unsigned decode_tokens = 32;
  unsigned repetitions = 2;
  std::optional<std::string> threads;
  bool streams = false;
  std::vector<EngineOption> defaults;  // what rest says goes before
  EngineArguments rest;
};
// The same wishes as another program would be told them, for EngineSimulation.
EngineArguments BenchMemoryArguments(const BenchArguments& bench);
// Arguments for llama-bench with JSON output.
Result<EngineArguments> BuildBenchArguments(const BenchArguments& bench, const OptionNames& known);

struct ServerArguments {
  std::string model;
  std::string socket;    // path of a unix socket, ending in ".sock"; "": whoever starts it adds --host
  std::string alias;     // the model's name in answers
  uint64_t context = 0;  // tokens of one request at most; settings.context goes before
  EngineSettings settings;
  std::optional<uint64_t> slots;  // that were asked for
  uint64_t chosen_slots = 0;      // where none were; 0: the engine's own number
  uint64_t pool_tokens = 0;       // of a KV cache that all slots share; 0: the engine divides `context` as it likes
  uint64_t batch_tokens = 0;      // of a pass; 0: the engine's own number
  uint64_t judged_tokens = 0;  // of all slots with their drafts: llama-server aborts when its batch does not hold them
  uint64_t input_tokens = 0;  // of an embedding or a reranking at most: each must be in one pass; 0: none are asked for
  std::optional<std::string> kv_cache_type;
  std::string draft_model, projector;     // paths, "" for none; the draft model: until it is among the next
  std::vector<EngineOption> speculation;  // of ChooseSpeculation
  std::optional<uint64_t> checkpoints;    // of each slot's context; none: the engine's own number
  std::string slot_folder;                // where slots are saved, "" for none
  bool embedding = false;
  bool has_pooling = false;  // the model says how its embeddings are made
  bool reranking = false;
  bool streams = false;
  bool debug = false;
  std::vector<EngineOption> defaults;  // a Modelfile's: what rest says goes before
  EngineArguments rest;
};
// The same wishes as `run` for a llama-server whose options `known` lists, and that gives one answer.
ServerArguments OneAnswerArguments(const RunArguments& run, const OptionNames& known);

// Arguments for llama-server with one model.
Result<EngineArguments> BuildServerArguments(const ServerArguments& server, const OptionNames& known);

}  // namespace headrace::cli
