// The options of the engine's programs that headrace knows: the only place that knows how each is spelled. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/modelfile.h"

namespace headrace::cli {

enum class OptionId {
  // The model, and files beside it.
  kModel,
  kModelUrl,
  kDockerRepository,
  kRepository,
  kRepositoryFile,
  kDraftModel,
  kDraftRepository,
  kProjector,
  kProjectorUrl,
  kNoProjector,
  kNoProjectorOffload,
  kAdapters,
  kScaledAdapters,
  kControlVectors,
  kScaledControlVectors,
  kOverrideKv,
  // What is computed, and with what memory.
  kContext,
  kBatch,
  kUbatch,
  kSlots,
  kCacheTypeK,
  kCacheTypeV,
  kDraftCacheTypeK,
  kDraftCacheTypeV,
  kSharedCache,
  kOwnCaches,
  kSharedCachePart,  // of each slot
  kFullWindow,
  kFlashAttention,
  kThreads,
  kBatchThreads,
  kCheckpoints,
  kPromptCache,
  kSlotFolder,
  kFit,
  kFitMargin,
  kNoWarmup,
  // Devices.
  kDevices,
  kRemote,
  kLayers,
  kDraftLayers,
  kAllHostExperts,
  kHostExperts,
  kHostFfn,
  kExpertCache,
  kOverrideTensor,
  kSplitMode,
  kTensorSplit,
  kMainDevice,
  kNoCacheOffload,
  // How files are loaded.
  kLoadMode,
  kMmap,
  kNoMmap,
  kLock,
  kDirectIo,
  // Speculation.
  kSpeculation,
  kDraftTokens,
  // What is asked, and how it is answered.
  kPrompt,
  kPromptFile,
  kSystemPrompt,
  kSystemPromptFile,
  kTokens,
  kSeed,
  kTemperature,
  kStop,
  kNoEscape,
  kSingleTurn,
  kNoConversation,
  kJinja,
  kNoDisplayPrompt,
  kSimpleIo,
  kTellsAndEnds,  // --help, --version and the like
  // llama-bench.
  kBenchPrompt,
  kBenchTokens,
  kBenchRepetitions,
  kOutput,
  // llama-server.
  kHost,
  kPort,
  kReusePort,
  kApiKey,
  kApiKeyFile,
  kApiPrefix,
  kSslKeyFile,
  kSslCertificate,
  kAlias,
  kModelsFolder,
  kModelsPreset,
  kMostModels,
  kEmbeddings,
  kPooling,
  kReranking,
  kMetrics,
  kNoPage,
  kSlotsPage,
  kNoSlotsPage,
  // The log.
  kVerbosity,
  kVerbose,
  kLogFile,
  kLogJson,
  kLogColors,
  kLogPrefix,
  kLogTimes,
};

// Whether the word behind an option is its value.
enum class TakesValue {
  kNo,
  kYes,
  kPerhaps,  // unless it looks like an option: older releases have it without
};

// As llama.cpp reads it: "--ctx_size" is "--ctx-size".
std::string OptionName(std::string word);
// "-n", "--temp"; but "-1", "-0.5" and "-" are values.
bool LooksLikeOption(const std::string& word);

// Nullopt for a word that is none of these options, "--ctx-size=1" among them: the engine does not take it.
std::optional<OptionId> FindOption(const std::string& word);
TakesValue TakesValueOf(OptionId option);
// All of them, in the order in which they are tried on a program.
const std::vector<const char*>& SpellingsOf(OptionId option);
// The option with this value, for whatever spelling a program knows.
EngineOption WithValue(OptionId option, std::string value);

using OptionIds = std::vector<OptionId>;
// With these a llama-server would no longer be in our hands.
const OptionIds& ServersOwnOptions();
// With these one answer, or a batch, would not be what it is.
const OptionIds& ServerModeOptions();

}  // namespace headrace::cli
