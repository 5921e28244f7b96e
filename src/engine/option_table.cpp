#include "engine/option_table.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <unordered_map>

namespace headrace::cli {
namespace {

struct TableRow {
  OptionId option;
  TakesValue takes;
  std::vector<const char*> names;
};

constexpr TakesValue kNone = TakesValue::kNo, kOne = TakesValue::kYes;

// In the order of OptionId.
const std::vector<TableRow>& Table() {
  static const std::vector<TableRow> table = {
      {OptionId::kModel, kOne, {"-m", "--model"}},
      {OptionId::kModelUrl, kOne, {"-mu", "--model-url"}},
      {OptionId::kDockerRepository, kOne, {"-dr", "--docker-repo"}},
      {OptionId::kRepository, kOne, {"-hf", "-hfr", "--hf-repo"}},
      {OptionId::kRepositoryFile, kOne, {"-hff", "--hf-file"}},
      {OptionId::kDraftModel, kOne, {"-md", "--model-draft", "--spec-draft-model"}},
      {OptionId::kDraftRepository, kOne, {"--spec-draft-hf", "-hfd", "-hfrd", "--hf-repo-draft"}},
      {OptionId::kProjector, kOne, {"-mm", "--mmproj"}},
      {OptionId::kProjectorUrl, kOne, {"-mmu", "--mmproj-url"}},
      {OptionId::kNoProjector, kNone, {"--no-mmproj", "--no-mmproj-auto"}},
      {OptionId::kNoProjectorOffload, kNone, {"--no-mmproj-offload"}},
      {OptionId::kAdapters, kOne, {"--lora"}},
      {OptionId::kScaledAdapters, kOne, {"--lora-scaled"}},
      {OptionId::kControlVectors, kOne, {"--control-vector"}},
      {OptionId::kScaledControlVectors, kOne, {"--control-vector-scaled"}},
      {OptionId::kOverrideKv, kOne, {"--override-kv"}},
      {OptionId::kContext, kOne, {"-c", "--ctx-size"}},
      {OptionId::kBatch, kOne, {"-b", "--batch-size"}},
      {OptionId::kUbatch, kOne, {"-ub", "--ubatch-size"}},
      {OptionId::kSlots, kOne, {"-np", "--parallel"}},
      {OptionId::kCacheTypeK, kOne, {"-ctk", "--cache-type-k"}},
      {OptionId::kCacheTypeV, kOne, {"-ctv", "--cache-type-v"}},
      {OptionId::kDraftCacheTypeK, kOne, {"-ctkd", "--cache-type-k-draft", "--spec-draft-type-k"}},
      {OptionId::kDraftCacheTypeV, kOne, {"-ctvd", "--cache-type-v-draft", "--spec-draft-type-v"}},
      {OptionId::kSharedCache, kNone, {"-kvu", "--kv-unified"}},
      {OptionId::kOwnCaches, kNone, {"-no-kvu", "--no-kv-unified"}},
      {OptionId::kSharedCachePart, kOne, {"--kv-unified-per-slot"}},
      {OptionId::kFullWindow, kNone, {"--swa-full"}},
      {OptionId::kFlashAttention, TakesValue::kPerhaps, {"-fa", "--flash-attn"}},
      {OptionId::kThreads, kOne, {"-t", "--threads"}},
      {OptionId::kBatchThreads, kOne, {"-tb", "--threads-batch"}},
      {OptionId::kCheckpoints, kOne, {"--ctx-checkpoints", "-ctxcp", "--swa-checkpoints"}},
      {OptionId::kPromptCache, kOne, {"--cache-ram", "-cram"}},
      {OptionId::kSlotFolder, kOne, {"--slot-save-path"}},
      {OptionId::kFit, kOne, {"--fit", "-fit"}},
      {OptionId::kFitMargin, kOne, {"-fitt", "--fit-target"}},
      {OptionId::kNoWarmup, kNone, {"--no-warmup"}},
      {OptionId::kDevices, kOne, {"-dev", "--device"}},
      {OptionId::kRemote, kOne, {"--rpc"}},
      {OptionId::kLayers, kOne, {"-ngl", "--gpu-layers", "--n-gpu-layers"}},
      {OptionId::kDraftLayers, kOne, {"-ngld", "--gpu-layers-draft", "--n-gpu-layers-draft", "--spec-draft-ngl"}},
      {OptionId::kAllHostExperts, kNone, {"-cmoe", "--cpu-moe"}},
      {OptionId::kHostExperts, kOne, {"-ncmoe", "--n-cpu-moe"}},
      {OptionId::kHostFfn, kOne, {"-ncffn", "--n-cpu-ffn"}},
      {OptionId::kExpertCache, kOne, {"--moe-cache-mib"}},
      {OptionId::kOverrideTensor, kOne, {"-ot", "--override-tensor"}},
      {OptionId::kSplitMode, kOne, {"-sm", "--split-mode"}},
      {OptionId::kTensorSplit, kOne, {"-ts", "--tensor-split"}},
      {OptionId::kMainDevice, kOne, {"-mg", "--main-gpu"}},
      {OptionId::kNoCacheOffload, kNone, {"-nkvo", "--no-kv-offload"}},
      {OptionId::kLoadMode, kOne, {"--load-mode", "-lm"}},
      // Releases that had these had a switch for each; llama-bench's take 0 or 1, or a list of them (load_mode.h).
      {OptionId::kMmap, kNone, {"--mmap", "-mmp"}},
      {OptionId::kNoMmap, kNone, {"--no-mmap"}},
      {OptionId::kLock, kNone, {"--mlock"}},
      {OptionId::kDirectIo, kNone, {"-dio", "--direct-io"}},
      {OptionId::kSpeculation, kOne, {"--spec-type"}},
      {OptionId::kDraftTokens, kOne, {"--spec-draft-n-max", "--draft-max"}},
      {OptionId::kPrompt, kOne, {"-p", "--prompt"}},
      {OptionId::kPromptFile, kOne, {"-f", "--file"}},
      {OptionId::kSystemPrompt, kOne, {"-sys", "--system-prompt"}},
      {OptionId::kSystemPromptFile, kOne, {"-sysf", "--system-prompt-file"}},
      {OptionId::kTokens, kOne, {"-n", "--predict", "--n-predict"}},
      {OptionId::kSeed, kOne, {"-s", "--seed"}},
      {OptionId::kTemperature, kOne, {"--temp", "--temperature"}},
      {OptionId::kStop, kOne, {"-r", "--reverse-prompt"}},
      {OptionId::kNoEscape, kNone, {"--no-escape"}},
      {OptionId::kSingleTurn, kNone, {"-st", "--single-turn"}},
      {OptionId::kNoConversation, kNone, {"-no-cnv", "--no-conversation"}},
      {OptionId::kJinja, kNone, {"--jinja"}},
      {OptionId::kNoDisplayPrompt, kNone, {"--no-display-prompt"}},
      {OptionId::kSimpleIo, kNone, {"--simple-io"}},
      {OptionId::kTellsAndEnds,
       kNone,
       {"-h", "--help", "--usage", "--version", "--license", "-cl", "--cache-list", "--list-devices",
        "--completion-bash"}},
      // Its -p, -n and -r are spelled as kPrompt, kTokens and kStop.
      {OptionId::kBenchPrompt, kOne, {"--n-prompt"}},
      {OptionId::kBenchTokens, kOne, {"--n-gen"}},
      {OptionId::kBenchRepetitions, kOne, {"--repetitions"}},
      {OptionId::kOutput, kOne, {"-o", "--output"}},
      {OptionId::kHost, kOne, {"--host"}},
      {OptionId::kPort, kOne, {"--port"}},
      {OptionId::kReusePort, kNone, {"--reuse-port"}},
      {OptionId::kApiKey, kOne, {"--api-key"}},
      {OptionId::kApiKeyFile, kOne, {"--api-key-file"}},
      {OptionId::kApiPrefix, kOne, {"--api-prefix"}},
      {OptionId::kSslKeyFile, kOne, {"--ssl-key-file"}},
      {OptionId::kSslCertificate, kOne, {"--ssl-cert-file"}},
      {OptionId::kAlias, kOne, {"-a", "--alias"}},
      {OptionId::kModelsFolder, kOne, {"--models-dir"}},
      {OptionId::kModelsPreset, kOne, {"--models-preset"}},
      {OptionId::kMostModels, kOne, {"--models-max"}},
      {OptionId::kEmbeddings, kNone, {"--embeddings", "--embedding"}},
      {OptionId::kPooling, kOne, {"--pooling"}},
      {OptionId::kReranking, kNone, {"--reranking", "--rerank"}},
      {OptionId::kMetrics, kNone, {"--metrics"}},
      {OptionId::kNoPage, kNone, {"--no-ui", "--no-webui"}},
      {OptionId::kSlotsPage, kNone, {"--slots"}},
      {OptionId::kNoSlotsPage, kNone, {"--no-slots"}},
      {OptionId::kVerbosity, kOne, {"-lv", "--verbosity", "--log-verbosity"}},
      {OptionId::kVerbose, kNone, {"-v", "--verbose", "--log-verbose"}},
      {OptionId::kLogFile, kOne, {"--log-file"}},
      {OptionId::kLogJson, kNone, {"--log-jsonl"}},
      {OptionId::kLogColors, TakesValue::kPerhaps, {"--log-colors"}},
      {OptionId::kLogPrefix, kNone, {"--log-prefix"}},
      {OptionId::kLogTimes, kNone, {"--log-timestamps"}},
  };
  return table;
}

const TableRow& RowOf(OptionId option) { return Table()[static_cast<size_t>(option)]; }

}  // namespace

std::string OptionName(std::string word) {
  if (word.starts_with("--")) std::replace(word.begin(), word.end(), '_', '-');
  return word;
}

bool LooksLikeOption(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && std::isdigit(static_cast<unsigned char>(word[1])) == 0 && word[1] != '.';
}

std::optional<OptionId> FindOption(const std::string& word) {
  static const auto options = [] {
    std::unordered_map<std::string_view, OptionId> map;
    for (const TableRow& row : Table()) {
      for (const char* name : row.names) map.emplace(name, row.option);
    }
    return map;
  }();
  const auto found = options.find(OptionName(word));
  return found == options.end() ? std::nullopt : std::optional(found->second);
}

TakesValue TakesValueOf(OptionId option) { return RowOf(option).takes; }

const std::vector<const char*>& SpellingsOf(OptionId option) { return RowOf(option).names; }

EngineOption WithValue(OptionId option, std::string value) { return {SpellingsOf(option), std::move(value)}; }

const OptionIds& ServersOwnOptions() {
  static const OptionIds options = {OptionId::kModel,         OptionId::kHost,         OptionId::kPort,
                                    OptionId::kApiKey,        OptionId::kApiKeyFile,   OptionId::kAlias,
                                    OptionId::kModelsFolder,  OptionId::kModelsPreset, OptionId::kMostModels,
                                    OptionId::kReusePort,     OptionId::kApiPrefix,    OptionId::kSslKeyFile,
                                    OptionId::kSslCertificate};
  return options;
}

const OptionIds& ServerModeOptions() {
  static const OptionIds options = {OptionId::kSlots, OptionId::kEmbeddings, OptionId::kReranking};
  return options;
}

}  // namespace headrace::cli
