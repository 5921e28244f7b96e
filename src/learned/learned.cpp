#include "learned/learned.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <optional>

#include <fmt/format.h>

#include "base/cache_directory.h"
#include "base/json.h"
#include "base/small_file.h"
#include "base/text_file.h"
#include "io/source_file.h"
#include "plan/speculation.h"

namespace headrace::cli {
namespace {

constexpr int kLearnedVersion = 2;
constexpr uint64_t kFewestPasses = 2;

// A finite number of `object`, at least 0.
bool ReadNumber(const Json& object, const char* name, double& value) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_number()) return false;
  value = it->get<double>();
  return std::isfinite(value) && value >= 0 && value < 1e15;
}

bool ReadTime(const Json& object, int64_t& at) {
  double seconds = 0;
  if (!ReadNumber(object, "at", seconds)) return false;
  at = static_cast<int64_t>(seconds);
  return true;
}

std::optional<LearnedPasses> ParsePasses(const Json& object) {
  LearnedPasses passes;
  if (!object.is_object()) return std::nullopt;
  const auto widths = object.find("widths");
  if (widths == object.end() || !widths->is_array()) return std::nullopt;
  for (const Json& item : *widths) {
    LearnedWidth width;
    if (!item.is_object() || !ReadNumber(item, "passes", width.passes) || !ReadNumber(item, "tokens", width.tokens) ||
        !ReadNumber(item, "seconds", width.seconds) || !ReadTime(item, width.at) ||
        !(width.passes > 0 && width.tokens >= 1 && width.seconds > 0)) {
      return std::nullopt;
    }
    passes.widths.push_back(width);
  }
  return passes;
}

std::optional<LearnedDraft> ParseDraft(const Json& object) {
  LearnedDraft draft;
  if (!object.is_object() || !ReadTime(object, draft.at) || !ReadNumber(object, "judged", draft.judged) ||
      !ReadNumber(object, "accepted", draft.accepted) || !ReadNumber(object, "token_s", draft.token_s) ||
      !ReadNumber(object, "sequences", draft.sequences) || draft.accepted > draft.judged) {
    return std::nullopt;
  }
  return draft;
}

std::optional<LearnedChoices> ParseChoices(const Json& object) {
  LearnedChoices choices;
  if (!object.is_object() || !ReadTime(object, choices.at) || !ReadNumber(object, "choices", choices.choices) ||
      !ReadNumber(object, "again", choices.again) || choices.again > choices.choices) {
    return std::nullopt;
  }
  return choices;
}

template <typename Entry>
std::map<std::string, Entry> ParseEntries(const Json& document, const char* name,
                                          std::optional<Entry> (*parse)(const Json&)) {
  std::map<std::string, Entry> entries;
  const auto list = document.find(name);
  if (list == document.end() || !list->is_object()) return entries;
  for (const auto& [key, value] : list->items()) {
    if (auto entry = parse(value)) entries.emplace(key, std::move(*entry));
  }
  return entries;
}

bool IsOld(int64_t at, int64_t now) { return at > now || now - at > kLearnedLifetimeSeconds; }

LearnedWidth& WidthOf(LearnedPasses& passes, double tokens) {
  const size_t index = WidthIndex(static_cast<uint64_t>(std::ceil(tokens)));
  const auto found = std::find_if(passes.widths.begin(), passes.widths.end(), [&](const LearnedWidth& width) {
    return WidthIndex(static_cast<uint64_t>(std::ceil(width.tokens))) == index;
  });
  return found != passes.widths.end() ? *found : passes.widths.emplace_back();
}

void AddPasses(LearnedPasses& learned, const Statistics& statistics, int64_t now) {
  for (const Statistics::WidthSums& sums : statistics.widths) {
    if (sums.passes < kFewestPasses) continue;
    const double passes = static_cast<double>(sums.passes), tokens = static_cast<double>(sums.tokens) / passes;
    LearnedWidth& width = WidthOf(learned, tokens);
    const double before = std::min(width.passes, kMostPasses), all = before + passes;
    width.tokens = (width.tokens * before + tokens * passes) / all;
    width.seconds = (width.seconds * before + static_cast<double>(sums.ns) / 1e9) / all;
    width.passes = all;
    width.at = now;
  }
}

void AddDrafts(LearnedDraft& learned, const SpeculationRun& run, int64_t now) {
  if (run.statistics.draft_passes >= kFewestPasses && !run.statistics.disturbed()) {
    learned.token_s =
        static_cast<double>(run.statistics.draft_ns) / 1e9 / static_cast<double>(run.statistics.draft_passes);
    learned.at = now;
  }
  if (run.sequences > 0) {
    // The last run counts as much as all before it.
    learned.sequences = learned.sequences > 0 ? (learned.sequences + run.sequences) / 2 : run.sequences;
    learned.at = now;
  }
  if (run.drafted == 0 || run.draft_tokens == 0) return;
  const double drafted = static_cast<double>(run.drafted),
               accepted = static_cast<double>(std::min(run.accepted, run.drafted));
  const double acceptance = TokenAcceptance(accepted, drafted, run.draft_tokens);
  // Of a draft the tokens up to the first refused one are judged: all that were accepted, and that one.
  const double judged =
      accepted > 0 ? std::max(accepted, accepted / acceptance) : drafted / static_cast<double>(run.draft_tokens);
  const double kept = learned.judged > kMostJudged ? kMostJudged / learned.judged : 1;
  learned.judged = learned.judged * kept + judged;
  learned.accepted = learned.accepted * kept + accepted;
  learned.at = now;
}

// nullopt when the file cannot be read.
std::optional<uint64_t> FingerprintOf(const std::string& path) {
  const auto file = SourceFile::Open(path, SourceFile::Access::kBuffered);
  if (!file.ok()) return std::nullopt;
  const auto fingerprint = file->Fingerprint();
  return fingerprint.ok() ? std::optional<uint64_t>(*fingerprint) : std::nullopt;
}

struct Keys {
  std::string passes, draft, ngram, choices;
};
std::optional<Keys> KeysOf(const LearnedPlace& place) {
  const auto model = FingerprintOf(place.model_path);
  if (!model) return std::nullopt;
  std::string draft(place.head ? kHeadDraft : kNgramDraft);
  if (!place.draft_path.empty()) {
    const auto fingerprint = FingerprintOf(place.draft_path);
    if (!fingerprint) return std::nullopt;
    draft = fmt::format("{:016x}", *fingerprint);
  }
  return Keys{PassesKey(*model, place.weights_bytes, place.devices, place.engine_version), DraftKey(*model, draft),
              DraftKey(*model, kNgramDraft), ChoicesKey(*model)};
}

// How popular its experts were in earlier runs, of each file that an engine has kept it for.
std::vector<HeatTable> ReadHeat(const std::vector<std::string>& model_files) {
  std::vector<HeatTable> tables;
  for (const std::string& path : model_files) {
    const auto fingerprint = FingerprintOf(path);
    const auto bytes = fingerprint ? ReadSmallFile(HeatPath(CacheDirectory(), *fingerprint), kMaxHeatFileBytes)
                                   : Status(Code::kNotFound, "");
    if (!bytes.ok()) continue;
    if (auto table = ParseHeat(*bytes); table.ok() && table->fingerprint == *fingerprint)
      tables.push_back(std::move(*table));
  }
  return tables;
}

// Eighths of powers of two.
long StepOf(uint64_t bytes) { return bytes == 0 ? 0 : std::lround(8 * std::log2(static_cast<double>(bytes))); }

LearnedFile ReadLearned(const std::string& path) {
  const auto text = path.empty() ? std::nullopt : ReadTextFile(path);
  return text ? ParseLearned(*text) : LearnedFile();
}

}  // namespace

LearnedFile ParseLearned(std::string_view text) {
  LearnedFile file;
  const Json json = JsonOrNull(text);
  if (!json.is_object() || json.value("version", Json()) != kLearnedVersion) return file;
  file.passes = ParseEntries<LearnedPasses>(json, "passes", ParsePasses);
  file.drafts = ParseEntries<LearnedDraft>(json, "drafts", ParseDraft);
  file.choices = ParseEntries<LearnedChoices>(json, "choices", ParseChoices);
  return file;
}

std::string RenderLearned(const LearnedFile& file) {
  Json passes = Json::object(), drafts = Json::object(), choices = Json::object();
  for (const auto& [key, entry] : file.passes) {
    Json widths = Json::array();
    for (const LearnedWidth& width : entry.widths) {
      widths.push_back(
          {{"passes", width.passes}, {"tokens", width.tokens}, {"seconds", width.seconds}, {"at", width.at}});
    }
    passes[key] = {{"widths", widths}};
  }
  for (const auto& [key, draft] : file.drafts) {
    drafts[key] = {{"judged", draft.judged},
                   {"accepted", draft.accepted},
                   {"token_s", draft.token_s},
                   {"sequences", draft.sequences},
                   {"at", draft.at}};
  }
  for (const auto& [key, entry] : file.choices)
    choices[key] = {{"choices", entry.choices}, {"again", entry.again}, {"at", entry.at}};
  const Json document = {{"version", kLearnedVersion}, {"passes", passes}, {"drafts", drafts}, {"choices", choices}};
  return document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string PassesKey(uint64_t model, uint64_t weights_bytes, std::string_view devices,
                      std::string_view engine_version) {
  return fmt::format("{:016x} | {} | {}{}", model, StepOf(weights_bytes),
                     devices.empty() ? "" : fmt::format("{} | ", devices), engine_version);
}

std::string PlacedText(const std::vector<DeviceMemory>& devices) {
  std::string text;
  for (const DeviceMemory& used : devices) {
    if (used.weight_bytes > 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", used.name, StepOf(used.weight_bytes));
  }
  return text;
}

std::string ChoicesKey(uint64_t model) { return fmt::format("{:016x}", model); }

std::string DraftKey(uint64_t model, std::string_view draft) { return fmt::format("{:016x} | {}", model, draft); }

void AddRun(LearnedFile& file, const std::string& passes_key, const std::string& draft_key, const SpeculationRun& run,
            int64_t now) {
  if (!run.statistics.disturbed()) AddPasses(file.passes[passes_key], run.statistics, now);
  AddDrafts(file.drafts[draft_key], run, now);
  for (auto& [key, entry] : file.passes)
    std::erase_if(entry.widths, [&](const LearnedWidth& width) { return IsOld(width.at, now); });
  std::erase_if(file.passes, [&](const auto& entry) { return entry.second.widths.empty(); });
  std::erase_if(file.drafts, [&](const auto& entry) { return IsOld(entry.second.at, now); });
}

Learned Look(const LearnedFile& file, const std::string& passes_key, const std::string& draft_key, int64_t now) {
  Learned learned;
  if (const auto it = file.passes.find(passes_key); it != file.passes.end()) {
    for (const LearnedWidth& width : it->second.widths) {
      if (!IsOld(width.at, now)) learned.passes.push_back({width.tokens, width.seconds});
    }
  }
  if (const auto it = file.drafts.find(draft_key); it != file.drafts.end() && !IsOld(it->second.at, now)) {
    learned.draft_token_s = it->second.token_s;
    learned.sequences = static_cast<uint64_t>(std::lround(it->second.sequences));
    learned.acceptance_known = it->second.judged > 0;
    if (learned.acceptance_known) learned.acceptance = it->second.accepted / it->second.judged;
  }
  return learned;
}

void AddChoices(LearnedFile& file, const std::string& choices_key, const Statistics& statistics, int64_t now) {
  std::erase_if(file.choices, [&](const auto& entry) { return IsOld(entry.second.at, now); });
  if (statistics.expert_neighbours == 0) return;
  LearnedChoices& learned = file.choices[choices_key];
  const double kept = learned.choices > kMostChoices ? kMostChoices / learned.choices : 1;
  learned.choices = learned.choices * kept + static_cast<double>(statistics.expert_neighbours);
  learned.again =
      learned.again * kept + static_cast<double>(std::min(statistics.experts_again, statistics.expert_neighbours));
  learned.at = now;
}

ExpertHabits HabitsOf(const LearnedChoices& choices, uint64_t token_choices, const std::vector<HeatTable>& heat) {
  ExpertHabits habits;
  if (token_choices == 0 || !(choices.choices > 0)) return habits;
  const double tokens = choices.choices / static_cast<double>(token_choices), share = tokens / (tokens + kUsualTokens);
  habits.again += share * (choices.again / choices.choices - habits.again);
  ExpertHabits::Popularity sum{};
  double layers = 0;
  for (const HeatTable& table : heat) {
    for (const HeatTable::Layer& layer : table.layers) {
      const auto popularity = ExpertHabits::PopularityOf(layer.popularity);
      if (popularity.front() > 0) ++layers;
      for (size_t part = 0; part < sum.size(); ++part) sum[part] += popularity[part];
    }
  }
  if (layers > 0) habits.lasting = share;
  for (size_t part = 0; layers > 0 && part < sum.size(); ++part)
    habits.popularity[part] += share * (sum[part] / layers - habits.popularity[part]);
  habits.learned = true;
  return habits;
}

std::string LearnedPath() {
  const std::string directory = CacheDirectory();
  return directory.empty() ? "" : directory + "/speculation.json";
}

Learned LoadLearned(const LearnedPlace& place) {
  const LearnedFile file = ReadLearned(LearnedPath());
  if (file.passes.empty() && file.drafts.empty() && file.choices.empty()) return {};
  const auto keys = KeysOf(place);
  if (!keys) return {};
  const auto now = std::time(nullptr);
  Learned learned = Look(file, keys->passes, keys->draft, now);
  // How many ask at a time does not depend on who drafts.
  if (learned.sequences == 0 && place.head) learned.sequences = Look(file, keys->passes, keys->ngram, now).sequences;
  if (const auto it = file.choices.find(keys->choices); it != file.choices.end() && !IsOld(it->second.at, now)) {
    learned.experts = HabitsOf(it->second, place.token_choices, ReadHeat(place.model_files));
  }
  return learned;
}

void StoreLearned(const LearnedPlace& place, const SpeculationRun& run) {
  const std::string path = LearnedPath();
  const auto& widths = run.statistics.widths;
  const bool measured = !run.statistics.disturbed() &&
                        std::any_of(widths.begin(), widths.end(),
                                    [](const Statistics::WidthSums& sums) { return sums.passes >= kFewestPasses; });
  if (path.empty() || (!measured && run.drafted == 0 && !(run.sequences > 0) && run.statistics.expert_neighbours == 0))
    return;
  const auto keys = KeysOf(place);
  if (!keys) return;
  LearnedFile file = ReadLearned(path);
  const int64_t now = std::time(nullptr);
  AddRun(file, keys->passes, keys->draft, run, now);
  AddChoices(file, keys->choices, run.statistics, now);
  [[maybe_unused]] const Status harmless = ReplaceFile(path, RenderLearned(file));
}

}  // namespace headrace::cli
