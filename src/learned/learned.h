// What runs showed about speculative decoding, kept between them in a small JSON file: for a model, a memory for its
// weights, what of it devices have and an engine what passes took by their width; for a model and its draft (n-grams,
// or its own head) how many drafted tokens were accepted, what a draft token took, and how many requests shared the
// passes; for a mixture how many experts neighbouring tokens share. A file that is missing, damaged or old is as if
// nothing were known.
//
// Old runs fade: at most so much of them counts beside a new one that a text of another kind shows after some hundred
// tokens. What nobody measured for a month is forgotten, each width of passes by itself: a wrong one that keeps drafts
// from that width is not kept for ever. Of a run that other programs disturbed nothing counts but what was accepted.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine_memory.h"
#include "experts/heat_file.h"
#include "plan/expert_demand.h"
#include "plan/pass_cost.h"
#include "report/statistics.h"

namespace headrace::cli {

// Passes of about one width: a mean that fades.
struct LearnedWidth {
  double passes = 0;               // that it is made of, at most kMostPasses
  double tokens = 0, seconds = 0;  // of a pass, the mean
  int64_t at = 0;                  // seconds since 1970, the last of them
};
struct LearnedPasses {
  std::vector<LearnedWidth> widths;
};
struct LearnedDraft {
  double judged = 0;     // tokens of drafts that the model judged: up to the first it refused
  double accepted = 0;   // of those
  double token_s = 0;    // time for one token of a draft model, 0: unknown
  double sequences = 0;  // requests that were answered at a time, 0: unknown
  int64_t at = 0;
};

// Of a mixture's routers.
struct LearnedChoices {
  double choices = 0;  // of tokens of which the one before was known
  double again = 0;    // of those: that one's, too
  int64_t at = 0;
};

// What is known where a run begins.
struct Learned {
  ExpertHabits experts;  // of the model; of another one where nothing is known
  std::vector<MeasuredPass> passes;
  bool acceptance_known = false;
  double acceptance = 0;     // of a token
  double draft_token_s = 0;  // 0: unknown
  uint64_t sequences = 0;    // requests at a time; 0: unknown
};

// What a run showed.
struct SpeculationRun {
  Statistics statistics;               // of the library
  uint64_t draft_tokens = 0;           // length of its drafts; 0: it made none
  uint64_t drafted = 0, accepted = 0;  // tokens
  double sequences = 0;                // requests at a time while there were any; 0: not counted
};

inline constexpr int64_t kLearnedLifetimeSeconds = 30 * 24 * 3600;
inline constexpr double kMostPasses = 200;   // of earlier runs that count
inline constexpr double kMostJudged = 1000;  // tokens
inline constexpr double kMostChoices = 1e6;  // some thousand tokens of a large model

// The content of the file.
struct LearnedFile {
  std::map<std::string, LearnedPasses> passes;
  std::map<std::string, LearnedDraft> drafts;
  std::map<std::string, LearnedChoices> choices;
};
// Ignores everything that is not a whole, plausible entry.
LearnedFile ParseLearned(std::string_view json);
std::string RenderLearned(const LearnedFile& file);

// Keys of the file's entries. `model` and `draft` are fingerprints of their files. Memory for weights counts in steps
// of a twelfth: nearly the same memory is the same. `devices`: of PlacedText.
std::string PassesKey(uint64_t model, uint64_t weights_bytes, std::string_view devices,
                      std::string_view engine_version);
std::string DraftKey(uint64_t model, std::string_view draft);
std::string ChoicesKey(uint64_t model);
inline constexpr std::string_view kNgramDraft = "ngram", kHeadDraft = "head";
// Which devices have weights and, in the same steps, how many: "Vulkan0 261"; "" where none has. Passes of a model that
// is placed otherwise take other times.
std::string PlacedText(const std::vector<DeviceMemory>& devices);

// Adds what a run showed, and drops what is older than the lifetime. Passes of which fewer than two were measured show
// nothing, nor do times of a run that was disturbed.
void AddRun(LearnedFile& file, const std::string& passes_key, const std::string& draft_key, const SpeculationRun& run,
            int64_t now);
// All but `experts`.
Learned Look(const LearnedFile& file, const std::string& passes_key, const std::string& draft_key, int64_t now);

// What a run's routers chose. Other programs do not disturb it.
void AddChoices(LearnedFile& file, const std::string& choices_key, const Statistics& statistics, int64_t now);
// What is known of them, beside the usual habits, which count as kUsualTokens tokens: of each layer, how often its
// experts were used (HeatTable).
ExpertHabits HabitsOf(const LearnedChoices& choices, uint64_t token_choices, const std::vector<HeatTable>& heat);
inline constexpr double kUsualTokens = 256;

// Where a run's knowledge belongs.
struct LearnedPlace {
  std::string model_path;
  std::vector<std::string> model_files;  // all parts of a split model
  uint64_t token_choices = 0;            // experts that a token chooses, of all layers; 0: no mixture
  std::string draft_path;                // "" for n-grams, or the model's own head
  uint64_t weights_bytes = 0;            // memory for them
  std::string devices;                   // PlacedText
  std::string engine_version;
  bool head = false;
};
// The file; "" where there is no home.
std::string LearnedPath();
// Reads 256 KiB of each model to tell it from others. Nothing is known where that fails.
Learned LoadLearned(const LearnedPlace& place);
// Replaces the file in one step. A failure is harmless; a run that shows nothing changes nothing.
void StoreLearned(const LearnedPlace& place, const SpeculationRun& run);

}  // namespace headrace::cli
