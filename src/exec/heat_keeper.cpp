#include "exec/heat_keeper.h"

#include <algorithm>
#include <exception>

#include <fmt/format.h>

#include "base/log.h"
#include "base/small_file.h"
#include "io/read_thread.h"

namespace headrace {

HeatKeeper::HeatKeeper(std::optional<std::string> directory, std::chrono::milliseconds interval)
    : directory_(std::move(directory)), interval_(interval), saved_(std::chrono::steady_clock::now()) {}

HeatKeeper::~HeatKeeper() {
  if (writer_.joinable()) writer_.join();
}

HeatKeeper::Source& HeatKeeper::Find(const SourceFile* file) {
  for (Source& source : sources_) {
    if (source.file == file) return source;
  }
  Source& source = sources_.emplace_back();
  source.file = file;
  if (directory_) Recall(source);
  return source;
}

// What an earlier run left.
void HeatKeeper::Recall(Source& source) {
  if (directory_->empty()) {
    LogDebug("neither XDG_CACHE_HOME nor HOME is set: headrace cannot remember popular experts for the next run");
    directory_.reset();
    return;
  }
  const auto fingerprint = source.file->Fingerprint();
  if (!fingerprint.ok()) return LogDebug(fingerprint.status().message());
  source.table.fingerprint = *fingerprint;
  source.path = HeatPath(*directory_, *fingerprint);
  auto bytes = ReadSmallFile(source.path, kMaxHeatFileBytes);
  if (!bytes.ok() && bytes.status().code() == Code::kNotFound) return;
  if (!bytes.ok()) return LogDebug(bytes.status().message() + "; it is ignored");
  auto table = ParseHeat(*bytes);
  if (table.ok() && table->fingerprint != *fingerprint) table = Status(Code::kChanged, "of another model");
  if (!table.ok()) return LogDebug(fmt::format("{}: {}; it is ignored", source.path, table.status().message()));
  source.table = std::move(*table);
  source.written = std::move(*bytes);
  for (HeatTable::Layer& layer : source.table.layers) {
    for (double& popularity : layer.popularity) popularity *= kRecalled;
  }
}

void HeatKeeper::Give(ExpertCache& cache) {
  struct Known {
    ExpertName name;
    double popularity;
  };
  std::vector<Known> known;
  for (uint32_t layer = 0; layer < cache.layers().size(); ++layer) {
    const ExpertLayout& layout = cache.layers()[layer];
    const ExpertSlices& first = layout.slices.front();
    const HeatTable::Layer* table = Find(first.file).table.Find(first.offset, layout.experts);
    for (uint32_t expert = 0; table != nullptr && expert < layout.experts; ++expert) {
      if (table->popularity[expert] <= 0) continue;
      known.push_back({{layer, expert}, table->popularity[expert]});
      cache.Recall(layer, expert, table->popularity[expert]);
    }
  }
  cache.Divide();
  std::stable_sort(known.begin(), known.end(),
                   [](const Known& a, const Known& b) { return a.popularity > b.popularity; });
  std::vector<ExpertName> names;
  names.reserve(known.size());
  for (const Known& expert : known) names.push_back(expert.name);
  const size_t ahead = cache.Prefetch(names);
  if (ahead > 0) LogDebug(fmt::format("{} experts that were used before are read ahead", ahead));
}

void HeatKeeper::Take(const ExpertCache& cache) {
  for (uint32_t layer = 0; layer < cache.layers().size(); ++layer) {
    const ExpertLayout& layout = cache.layers()[layer];
    const ExpertSlices& first = layout.slices.front();
    std::vector<double>& popularity = Find(first.file).table.FindOrAdd(first.offset, layout.experts).popularity;
    for (uint32_t expert = 0; expert < layout.experts; ++expert) popularity[expert] = cache.Popularity(layer, expert);
  }
}

HeatKeeper::Files HeatKeeper::Changed(const ExpertCache& cache) {
  Files files;
  saved_ = std::chrono::steady_clock::now();
  if (!directory_ || !writable_) return files;
  Take(cache);
  for (Source& source : sources_) {
    if (source.path.empty()) continue;
    std::string bytes = SerialiseHeat(source.table);
    if (bytes == source.written) continue;
    source.written = bytes;
    files.emplace_back(source.path, std::move(bytes));
  }
  return files;
}

void HeatKeeper::Write(const Files& files) noexcept {
  try {
    for (const auto& [path, bytes] : files) {
      const Status written = ReplaceFile(path, bytes);
      if (written.ok()) continue;
      LogDebug(written.message() + "; headrace cannot remember popular experts for the next run");
      writable_ = false;
      return;
    }
  } catch (const std::exception& error) {
    LogDebug(error.what());
  }
}

void HeatKeeper::Save(const ExpertCache& cache) noexcept {
  try {
    if (writer_.joinable()) writer_.join();
    Write(Changed(cache));
  } catch (const std::exception& error) {
    LogDebug(error.what());
  }
}

void HeatKeeper::SaveRarely(const ExpertCache& cache) noexcept {
  if (!directory_ || !writable_ || std::chrono::steady_clock::now() - saved_ < interval_) return;
  try {
    if (writer_.joinable()) writer_.join();
    Files files = Changed(cache);
    if (files.empty()) return;
    auto thread = StartReadThread("headrace-heat", [this, files = std::move(files)] { Write(files); });
    if (thread.ok()) writer_ = std::move(*thread);
  } catch (const std::exception& error) {
    LogDebug(error.what());
  }
}

}  // namespace headrace
