#include "engine/engine_memory.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <sstream>
#include <thread>

#include <fmt/format.h>

#include "base/size.h"
#include "engine/draft_head.h"
#include "engine/file_arguments.h"
#include "gguf/catalogue.h"
#include "plan/prompt_batch.h"
#include "plan/slots.h"
#include "process/capture.h"
#include "report/exit_status.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;

struct MemoryOption {
  const char* name;
  bool has_value;
};
constexpr MemoryOption kMemoryOptions[] = {
    {"-c", true},
    {"--ctx-size", true},
    {"-b", true},
    {"--batch-size", true},
    {"-ub", true},
    {"--ubatch-size", true},
    {"-np", true},
    {"--parallel", true},
    {"-ctk", true},
    {"--cache-type-k", true},
    {"-ctv", true},
    {"--cache-type-v", true},
    {"-fa", true},
    {"--flash-attn", true},
    {"-t", true},
    {"--threads", true},
    {"-tb", true},
    {"--threads-batch", true},
    {"-ngl", true},
    {"--gpu-layers", true},
    {"-dev", true},
    {"--device", true},
    {"-ncmoe", true},
    {"--n-cpu-moe", true},
    {"-ot", true},
    {"--override-tensor", true},
    {"-sm", true},
    {"--split-mode", true},
    {"-ts", true},
    {"--tensor-split", true},
    {"-mg", true},
    {"--main-gpu", true},
    {"--n-gpu-layers", true},
    {"--override-kv", true},
    {"--swa-full", false},
    {"-nkvo", false},
    {"--no-kv-offload", false},
    {"-cmoe", false},
    {"--cpu-moe", false},
    {"-ncffn", true},
    {"--n-cpu-ffn", true},
    {"--moe-cache-mib", true},
    {"--rpc", true},
};
constexpr std::initializer_list<const char*> kContext = {"-c", "--ctx-size"};
constexpr std::initializer_list<const char*> kModel = {"-m", "--model"};
constexpr std::initializer_list<const char*> kDraftModel = {"-md", "--model-draft", "--spec-draft-model"};
constexpr std::initializer_list<const char*> kSlots = {"-np", "--parallel"};
constexpr std::initializer_list<const char*> kProjector = {"-mm", "--mmproj"};

// What a program that generates has beside what one that simulates has: threads, samplers, headrace's library; and
// for each token of the context its text and its place in the cache. Measured with llama-completion.
constexpr uint64_t kGeneratorBytes = 2 * kMiB;
constexpr uint64_t kTokenBytes = 320;
// For each thread that computes beside two: its stack, its share of the work buffer. 110 to 190 KiB were measured with
// up to 16, by processor.
constexpr uint64_t kThreadBytes = 160 * kKiB;
constexpr uint64_t kUsualThreads = 2;
// What a driver has beside what it had for a simulation: kernels that are made when they are first used, places for
// copies. Measured with a device that is computed in software: 16 to 27 MiB.
constexpr uint64_t kDriverBytes = 32 * kMiB;
// And what llama-server has beside llama-completion: its own code, its threads for connections. Measured.
constexpr uint64_t kServerBytes = 5 * kMiB;

// What the context of a draft head has beside what is counted for it: 3.6 MiB were measured.
constexpr uint64_t kHeadContextBytes = 5 * kMiB;

uint64_t FileSize(const std::string& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  return error ? 0 : bytes;
}

// Of an adapter beside its weights: their structures. Measured.
constexpr uint64_t kAdapterBytes = 3 * kMiB;

// An adapter of a weight is two narrow matrices: the product with the first has as many rows as its rank, that with the
// second as many as the weight, and is scaled and added. While it is loaded its largest tensor is in memory twice.
uint64_t AdapterBytes(const std::string& path, uint64_t batch_tokens) {
  uint64_t rank = 0, rows = 0, largest = 0;
  if (const auto adapter = ReadCatalogue(path); adapter.ok()) {
    for (const TensorEntry& tensor : adapter->tensors) {
      largest = std::max(largest, tensor.bytes);
      if (!tensor.name.ends_with(".lora_b")) continue;
      rank = std::max(rank, tensor.shape[0]);
      rows = std::max(rows, tensor.shape[1]);
    }
  }
  return FileSize(path) + largest + kAdapterBytes + batch_tokens * (rank + 2 * rows) * sizeof(float);
}

// The first line that llama.cpp marks as an error ("0.00.027.739 E ...", "error while handling ..."), which says why;
// else the last one.
std::string Reason(const std::string& output) {
  std::stringstream lines(output);
  std::string last;
  for (std::string line; std::getline(lines, line);) {
    if (const size_t mark = line.find(" E "); mark < 24) return OneLine(line.substr(mark + 3));
    if (line.starts_with("error")) return OneLine(line);
    if (!line.empty()) last = line;
  }
  return OneLine(last);
}

// Sequences of a simulation that finds out what one more takes, and tokens of all of them: each has more than most
// sliding windows.
constexpr uint64_t kStateSequences = 16, kStateTokens = kStateSequences * 8192;

}  // namespace

std::vector<std::string> MemoryArguments(const std::vector<std::string>& arguments, const OptionNames& known) {
  std::vector<std::string> result;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const auto option = std::find_if(std::begin(kMemoryOptions), std::end(kMemoryOptions),
                                     [&](const MemoryOption& candidate) { return arguments[i] == candidate.name; });
    if (option == std::end(kMemoryOptions)) continue;
    const bool complete = !option->has_value || i + 1 < arguments.size();
    if (complete && known.Has(option->name)) {
      result.push_back(arguments[i]);
      if (option->has_value) result.push_back(arguments[i + 1]);
    }
    if (option->has_value) ++i;
  }
  return result;
}

std::optional<std::string> OptionValue(const std::vector<std::string>& arguments,
                                       std::initializer_list<const char*> names) {
  for (size_t i = arguments.size(); i-- > 1;) {
    if (std::find(names.begin(), names.end(), arguments[i - 1]) != names.end()) return arguments[i];
  }
  return std::nullopt;
}

uint64_t OptionNumber(const std::vector<std::string>& arguments, std::initializer_list<const char*> names) {
  uint64_t number = 0;
  if (const auto text = OptionValue(arguments, names))
    std::from_chars(text->data(), text->data() + text->size(), number);
  return number;
}

std::optional<bool> SharesCache(const std::vector<std::string>& arguments) {
  std::optional<bool> shares;
  for (const std::string& word : arguments) {
    if (word == "-kvu" || word == "--kv-unified") shares = true;
    if (word == "-no-kvu" || word == "--no-kv-unified") shares = false;
  }
  return shares;
}

std::vector<std::string> AdapterFiles(const std::vector<std::string>& arguments) {
  std::vector<std::string> files;
  for (size_t i = 0; i + 1 < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    const bool scaled = name == "--lora-scaled" || name == "--control-vector-scaled";
    if (!scaled && name != "--lora" && name != "--control-vector") continue;
    for (std::string& field : ListFields(arguments[i + 1])) {
      if (scaled) field = field.substr(0, field.rfind(':'));
      if (!field.empty()) files.push_back(std::move(field));
    }
  }
  return files;
}

std::vector<std::string> ServerMemoryArguments(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--host", "run.sock"});
  return arguments;
}

std::optional<EngineMemory> ParseFitPrint(std::string_view output) {
  std::stringstream lines{std::string(output)};
  std::optional<EngineMemory> memory;
  std::vector<DeviceMemory> devices;
  for (std::string line; std::getline(lines, line);) {
    std::stringstream words(line);
    std::string device, more;
    uint64_t model = 0, context = 0, compute = 0;
    if (!(words >> device >> model >> context >> compute) || (words >> more)) continue;
    // Whole MiB, rounded down.
    if (device == "Host" || device == "host") {
      memory.emplace();
      memory->context_bytes = context * kMiB;
      memory->compute_bytes = compute * kMiB + kMiB / 2;
    } else {
      devices.push_back({device, model * kMiB + kMiB / 2, context * kMiB + kMiB / 2, compute * kMiB + kMiB / 2});
    }
  }
  if (memory) memory->devices = std::move(devices);
  return memory;
}

Result<EngineSimulation> EngineSimulation::Prepare(const Engine& engine, const std::vector<std::string>& arguments) {
  EngineSimulation simulation;
  auto program = LocateProgram("llama-fit-params", &engine, SearchPaths());
  if (!program.ok()) {
    auto one_for_all = LocateProgram("llama", &engine, SearchPaths());
    if (!one_for_all.ok()) return program.status();
    program = std::move(one_for_all);
    simulation.command_ = {"fit-params"};
  }
  const auto known = QueryOptions(*program, simulation.command_);
  if (!known.ok()) return known.status();
  if (!known->Has("-fitp")) {
    return Status(Code::kUnsupported, fmt::format("{} is too old to say what would be allocated", *program));
  }
  simulation.program_ = std::move(*program);
  simulation.options_ = *known;
  simulation.SetArguments(arguments);
  return simulation;
}

void EngineSimulation::SetArguments(const std::vector<std::string>& arguments) {
  arguments_ = MemoryArguments(arguments, options_);
  // One slot is its default, unlike llama-server's.
  if (OptionValue(arguments_, kSlots) == "1") {
    const auto is_slots = [](const std::string& word) {
      return std::find(kSlots.begin(), kSlots.end(), word) != kSlots.end();
    };
    for (auto at = arguments_.begin(); (at = std::find_if(at, arguments_.end(), is_slots)) != arguments_.end();)
      at = arguments_.erase(at, at + 2);
  }
  model_ = OptionValue(arguments, kModel).value_or("");
  draft_ = OptionValue(arguments, kDraftModel).value_or("");
  projector_ = OptionValue(arguments, kProjector).value_or("");
  head_ = DraftsWithHead(arguments);
  draft_type_k_ = OptionValue(arguments, {"-ctkd", "--cache-type-k-draft", "--spec-draft-type-k"}).value_or("");
  draft_type_v_ = OptionValue(arguments, {"-ctvd", "--cache-type-v-draft", "--spec-draft-type-v"}).value_or("");
  draft_layers_ =
      OptionValue(arguments, {"-ngld", "--gpu-layers-draft", "--n-gpu-layers-draft", "--spec-draft-ngl"}).value_or("");
  serves_ = OptionValue(arguments, {"--host"}).has_value();
  slots_ = OptionNumber(arguments, kSlots);
  unified_ = SharesCache(arguments).value_or(serves_ && slots_ == 0);
  if (slots_ == 0) {
    slots_ = serves_ ? kServerSlots : 1;
    if (serves_) arguments_.insert(arguments_.end(), {"-np", std::to_string(slots_)});
  }
  adapters_ = AdapterFiles(arguments);
  prompt_cache_bytes_ = OptionNumber(arguments, kPromptCacheOptions) * kMiB;
  checkpoints_ = !serves_                                     ? 0
                 : OptionValue(arguments, kCheckpointOptions) ? OptionNumber(arguments, kCheckpointOptions)
                                                              : kServerCheckpoints;
}

Result<EngineMemory> EngineSimulation::RunOne(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-fitp", "on"});
  if (const auto known = known_.find(arguments); known != known_.end()) return known->second;
  // ggml would start a debugger on a program that aborts, as this one does on a model that cannot be loaded.
  std::vector<std::string> words = command_;
  words.insert(words.end(), arguments.begin(), arguments.end());
  const auto result = Capture(program_, words, true, {{"GGML_NO_BACKTRACE", "1"}});
  if (!result.ok()) return result.status();
  auto memory = ParseFitPrint(result->output);
  if (!memory)
    return Status(Code::kUnsupported,
                  fmt::format("{} does not say what would be allocated: {}", program_, Reason(result->output)));
  memory->engine_bytes = result->peak_bytes;
  known_.emplace(std::move(arguments), *memory);
  return *memory;
}

// The program really allocates recurrent states, so with several sequences its own peak would count them a second time.
Result<EngineMemory> EngineSimulation::RunModel(const std::vector<std::string>& arguments) {
  auto memory = RunSequences(arguments);
  if (!memory.ok() || OptionNumber(arguments, kSlots) <= 1) return memory;
  auto alone = arguments;
  alone.insert(alone.end(), {"-np", "1"});
  const auto one = RunOne(std::move(alone));
  if (!one.ok()) return one;
  memory->engine_bytes = std::min(memory->engine_bytes, one->engine_bytes);
  return memory;
}

// The program knows no cache that sequences share: it gives each its own, of whole groups of cells. Together they have
// the size of a shared one where that is a multiple of them; else what the sequences add to it is learned with one that
// is.
Result<EngineMemory> EngineSimulation::RunSequences(const std::vector<std::string>& arguments) {
  const uint64_t sequences = OptionNumber(arguments, kSlots), tokens = OptionNumber(arguments, kContext);
  const uint64_t step = kCellGroup * sequences;
  if (!unified_ || sequences <= 1 || tokens == 0 || tokens % step == 0) return RunOne(arguments);
  const auto simulate = [&](uint64_t context, uint64_t parallel) {
    auto all = arguments;
    all.insert(all.end(), {"-c", std::to_string(context), "-np", std::to_string(parallel)});
    return RunOne(all);
  };
  const uint64_t whole = (tokens + step - 1) / step * step;
  const auto shared = simulate(tokens, 1), one = simulate(whole, 1);
  auto memory = simulate(whole, sequences);
  if (!shared.ok()) return shared;
  if (!one.ok()) return one;
  if (memory.ok())
    memory->context_bytes =
        shared->context_bytes + memory->context_bytes - std::min(memory->context_bytes, one->context_bytes);
  return memory;
}

Result<EngineMemory> EngineSimulation::Run(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"-m", model_};
  arguments.insert(arguments.end(), arguments_.begin(), arguments_.end());
  arguments.insert(arguments.end(), more.begin(), more.end());
  auto memory = RunModel(arguments);
  if (!memory.ok()) return memory;
  if (!draft_.empty()) {
    arguments.insert(arguments.end(), {"-m", draft_});
    for (const auto& [name, value] : {std::pair{"-ctk", draft_type_k_}, std::pair{"-ctv", draft_type_v_}}) {
      arguments.insert(arguments.end(), {name, value.empty() ? "f16" : value});
    }
    if (!draft_layers_.empty()) arguments.insert(arguments.end(), {"-ngl", draft_layers_});
    const auto draft = RunModel(arguments);
    if (!draft.ok()) return draft;
    memory->context_bytes += draft->context_bytes;
    memory->compute_bytes += draft->compute_bytes;
    memory->engine_bytes = std::max(memory->engine_bytes, draft->engine_bytes);
    memory->draft_weight_bytes = FileSize(draft_);
    memory->draft_rest_bytes = draft->context_bytes + draft->compute_bytes;
  }
  if (head_) HEADRACE_RETURN_IF_ERROR(AddHead(arguments, *memory));
  if (checkpoints_ > 0) {
    const auto state = StateBytes();
    if (!state.ok()) return state.status();
    memory->checkpoint_bytes = slots_ * checkpoints_ * *state;
  }
  // What is kept at the most, and the state that is copied before another one goes.
  if (prompt_cache_bytes_ > 0)
    memory->prompt_cache_bytes = prompt_cache_bytes_ + memory->context_bytes / (unified_ ? 1 : slots_);
  const uint64_t batch = OptionNumber(arguments_, {"-ub", "--ubatch-size"});
  for (const std::string& path : adapters_)
    memory->adapter_bytes += AdapterBytes(path, batch > 0 ? batch : kUsualPromptBatch);
  if (!projector_.empty()) memory->projector_bytes = FileSize(projector_);
  uint64_t threads =
      std::max(OptionNumber(arguments_, {"-t", "--threads"}), OptionNumber(arguments_, {"-tb", "--threads-batch"}));
  if (threads == 0) threads = std::thread::hardware_concurrency();
  if (!memory->devices.empty()) memory->engine_bytes += kDriverBytes;
  memory->engine_bytes += kGeneratorBytes + kThreadBytes * (std::max(threads, kUsualThreads) - kUsualThreads) +
                          kTokenBytes * context_tokens() + (serves_ ? kServerBytes : 0);
  return memory;
}

// The program simulates no head. Its context has the keys and values of its blocks, and needs no more to compute them
// than the model needs for all of its layers. What it starts from are hidden states: those of a batch are kept by the
// model's context, by the head's, and between both.
Status EngineSimulation::AddHead(const std::vector<std::string>& arguments, EngineMemory& memory) {
  constexpr uint64_t kCopies = 3, kUsualBatch = 2048;
  const auto catalogue = ReadCatalogue(model_);
  if (!catalogue.ok()) return catalogue.status();
  if (HeadBlocks(*catalogue) == 0) return {};
  const uint64_t asked = OptionNumber(arguments, kContext), tokens = asked > 0 ? asked : catalogue->context_length;
  const uint64_t batch = OptionNumber(arguments, {"-b", "--batch-size"});
  const uint64_t context = tokens * HeadTokenBytes(*catalogue);
  const uint64_t hidden =
      kCopies * std::min(tokens, batch > 0 ? batch : kUsualBatch) * catalogue->embedding_length * sizeof(float);
  memory.draft_rest_bytes = context + memory.compute_bytes + hidden;
  memory.context_bytes += context;
  memory.compute_bytes += memory.compute_bytes + hidden;
  memory.engine_bytes += kHeadContextBytes;
  return {};
}

// With as many tokens in all, more sequences take more only for what each of them has whatever its length.
Result<uint64_t> EngineSimulation::StateBytesOf(const std::string& model) {
  const auto simulate = [&](uint64_t sequences) {
    std::vector<std::string> arguments = {"-m", model};
    arguments.insert(arguments.end(), arguments_.begin(), arguments_.end());
    arguments.insert(arguments.end(), {"-c", std::to_string(kStateTokens), "-np", std::to_string(sequences)});
    return RunOne(std::move(arguments));
  };
  const auto one = simulate(1), many = simulate(kStateSequences);
  if (!one.ok()) return one.status();
  if (!many.ok()) return many.status();
  const uint64_t more = many->context_bytes - std::min(many->context_bytes, one->context_bytes);
  // Whole MiB, rounded down.
  return more == 0 ? 0 : (more + kMiB) / (kStateSequences - 1);
}

Result<uint64_t> EngineSimulation::StateBytes() {
  auto state = StateBytesOf(model_);
  if (!state.ok() || draft_.empty()) return state;
  const auto draft = StateBytesOf(draft_);
  return draft.ok() ? Result<uint64_t>(*state + *draft) : draft;
}

uint64_t EngineSimulation::context_tokens() const { return OptionNumber(arguments_, kContext); }

}  // namespace headrace::cli
