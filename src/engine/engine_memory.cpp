#include "engine/engine_memory.h"

#include <algorithm>
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

constexpr OptionId kMemoryOptions[] = {
    OptionId::kContext,        OptionId::kBatch,       OptionId::kUbatch,         OptionId::kSlots,
    OptionId::kCacheTypeK,     OptionId::kCacheTypeV,  OptionId::kFlashAttention, OptionId::kThreads,
    OptionId::kBatchThreads,   OptionId::kLayers,      OptionId::kDevices,        OptionId::kHostExperts,
    OptionId::kOverrideTensor, OptionId::kSplitMode,   OptionId::kTensorSplit,    OptionId::kMainDevice,
    OptionId::kOverrideKv,     OptionId::kFullWindow,  OptionId::kNoCacheOffload, OptionId::kAllHostExperts,
    OptionId::kHostFfn,        OptionId::kExpertCache, OptionId::kRemote};

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

EngineArguments MemoryArguments(const EngineArguments& arguments, const OptionNames& known) {
  std::vector<std::string> result;
  for (const GivenOption& given : arguments.options()) {
    if (!given.option ||
        std::find(std::begin(kMemoryOptions), std::end(kMemoryOptions), *given.option) == std::end(kMemoryOptions))
      continue;
    const bool complete = given.value || TakesValueOf(*given.option) != TakesValue::kYes;
    if (!complete || !known.Has(given.name)) continue;
    result.push_back(given.name);
    if (given.value) result.push_back(*given.value);
  }
  return result;
}

EngineArguments ServerMemoryArguments(EngineArguments arguments) {
  arguments.Append(OptionId::kHost, "run.sock");
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

Result<EngineSimulation> EngineSimulation::Prepare(const Engine& engine, const EngineArguments& arguments) {
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

void EngineSimulation::SetArguments(const EngineArguments& arguments) {
  arguments_ = MemoryArguments(arguments, options_);
  // One slot is its default, unlike llama-server's.
  if (arguments_.Value(OptionId::kSlots) == "1") arguments_ = arguments_.Without(OptionId::kSlots);
  model_ = arguments.Value(OptionId::kModel).value_or("");
  draft_ = arguments.Value(OptionId::kDraftModel).value_or("");
  projector_ = arguments.Value(OptionId::kProjector).value_or("");
  head_ = DraftsWithHead(arguments);
  draft_type_k_ = arguments.Value(OptionId::kDraftCacheTypeK).value_or("");
  draft_type_v_ = arguments.Value(OptionId::kDraftCacheTypeV).value_or("");
  draft_layers_ = arguments.Value(OptionId::kDraftLayers).value_or("");
  serves_ = arguments.Value(OptionId::kHost).has_value();
  slots_ = arguments.Number(OptionId::kSlots);
  unified_ = arguments.SharesCache().value_or(serves_ && slots_ == 0);
  if (slots_ == 0) {
    slots_ = serves_ ? kServerSlots : 1;
    if (serves_) arguments_.Append(OptionId::kSlots, std::to_string(slots_));
  }
  adapters_ = AdapterFiles(arguments);
  prompt_cache_bytes_ = arguments.Number(OptionId::kPromptCache) * kMiB;
  checkpoints_ = !serves_                                  ? 0
                 : arguments.Value(OptionId::kCheckpoints) ? arguments.Number(OptionId::kCheckpoints)
                                                           : kServerCheckpoints;
}

Result<EngineMemory> EngineSimulation::RunOne(EngineArguments arguments) {
  arguments.Append({"-fitp", "on"});
  if (const auto known = known_.find(arguments.words()); known != known_.end()) return known->second;
  // ggml would start a debugger on a program that aborts, as this one does on a model that cannot be loaded.
  std::vector<std::string> words = command_;
  words.insert(words.end(), arguments.words().begin(), arguments.words().end());
  const auto result = Capture(program_, words, true, {{"GGML_NO_BACKTRACE", "1"}});
  if (!result.ok()) return result.status();
  auto memory = ParseFitPrint(result->output);
  if (!memory)
    return Status(Code::kUnsupported,
                  fmt::format("{} does not say what would be allocated: {}", program_, Reason(result->output)));
  memory->engine_bytes = result->peak_bytes;
  known_.emplace(arguments.words(), *memory);
  return *memory;
}

// The program really allocates recurrent states, so with several sequences its own peak would count them a second time.
Result<EngineMemory> EngineSimulation::RunModel(const EngineArguments& arguments) {
  auto memory = RunSequences(arguments);
  if (!memory.ok() || arguments.Number(OptionId::kSlots) <= 1) return memory;
  auto alone = arguments;
  alone.Append(OptionId::kSlots, "1");
  const auto one = RunOne(std::move(alone));
  if (!one.ok()) return one;
  memory->engine_bytes = std::min(memory->engine_bytes, one->engine_bytes);
  return memory;
}

// The program knows no cache that sequences share: it gives each its own, of whole groups of cells. Together they have
// the size of a shared one where that is a multiple of them; else what the sequences add to it is learned with one that
// is.
Result<EngineMemory> EngineSimulation::RunSequences(const EngineArguments& arguments) {
  const uint64_t sequences = arguments.Number(OptionId::kSlots), tokens = arguments.Number(OptionId::kContext);
  const uint64_t step = kCellGroup * sequences;
  if (!unified_ || sequences <= 1 || tokens == 0 || tokens % step == 0) return RunOne(arguments);
  const auto simulate = [&](uint64_t context, uint64_t parallel) {
    auto all = arguments;
    all.Append(OptionId::kContext, std::to_string(context));
    all.Append(OptionId::kSlots, std::to_string(parallel));
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

Result<EngineMemory> EngineSimulation::Run(const EngineArguments& more) {
  EngineArguments arguments = {"-m", model_};
  arguments.Append(arguments_);
  arguments.Append(more);
  auto memory = RunModel(arguments);
  if (!memory.ok()) return memory;
  if (!draft_.empty()) {
    arguments.Append(OptionId::kModel, draft_);
    arguments.Append(OptionId::kCacheTypeK, draft_type_k_.empty() ? "f16" : draft_type_k_);
    arguments.Append(OptionId::kCacheTypeV, draft_type_v_.empty() ? "f16" : draft_type_v_);
    if (!draft_layers_.empty()) arguments.Append(OptionId::kLayers, draft_layers_);
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
  const uint64_t batch = arguments_.Number(OptionId::kUbatch);
  for (const std::string& path : adapters_)
    memory->adapter_bytes += AdapterBytes(path, batch > 0 ? batch : kUsualPromptBatch);
  if (!projector_.empty()) memory->projector_bytes = FileSize(projector_);
  uint64_t threads = std::max(arguments_.Number(OptionId::kThreads), arguments_.Number(OptionId::kBatchThreads));
  if (threads == 0) threads = std::thread::hardware_concurrency();
  if (!memory->devices.empty()) memory->engine_bytes += kDriverBytes;
  memory->engine_bytes += kGeneratorBytes + kThreadBytes * (std::max(threads, kUsualThreads) - kUsualThreads) +
                          kTokenBytes * context_tokens() + (serves_ ? kServerBytes : 0);
  return memory;
}

// The program simulates no head. Its context has the keys and values of its blocks, and needs no more to compute them
// than the model needs for all of its layers. What it starts from are hidden states: those of a batch are kept by the
// model's context, by the head's, and between both.
Status EngineSimulation::AddHead(const EngineArguments& arguments, EngineMemory& memory) {
  constexpr uint64_t kCopies = 3, kUsualBatch = 2048;
  const auto catalogue = ReadCatalogue(model_);
  if (!catalogue.ok()) return catalogue.status();
  if (HeadBlocks(*catalogue) == 0) return {};
  const uint64_t asked = arguments.Number(OptionId::kContext), tokens = asked > 0 ? asked : catalogue->context_length;
  const uint64_t batch = arguments.Number(OptionId::kBatch);
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
    EngineArguments arguments = {"-m", model};
    arguments.Append(arguments_);
    arguments.Append(OptionId::kContext, std::to_string(kStateTokens));
    arguments.Append(OptionId::kSlots, std::to_string(sequences));
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

uint64_t EngineSimulation::context_tokens() const { return arguments_.Number(OptionId::kContext); }

}  // namespace headrace::cli
