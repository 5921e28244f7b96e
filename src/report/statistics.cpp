#include "report/statistics.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/size.h"
#include "base/whole_disk.h"
#include "report/counters.h"

namespace headrace::cli {
namespace {

double Ratio(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// What was resident, streamed and read, and how fast.
std::vector<std::string> WeightLines(const Statistics& s, bool on_devices) {
  if (!s.streamed() && (on_devices || s.on_devices())) {
    return {"all layers are on devices: weights were read once, while they were loaded" +
            (s.uploaded_bytes == 0 ? "" : fmt::format(", and {} copied there", FormatSize(s.uploaded_bytes)))};
  }
  if (!s.streamed()) return {"nothing was streamed: the weights fit the budget, or flash weight streaming is off"};
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{} of {} {}weights resident, {} streamed per pass (budget {})",
                              FormatSize(s.resident_bytes), FormatSize(s.weight_bytes - s.expert_bytes),
                              s.expert_bytes > 0 ? "shared " : "", FormatSize(s.streamed_bytes_per_pass),
                              FormatSize(s.budget_bytes)));
  if (s.expert_bytes > 0) {
    lines.push_back(
        fmt::format("experts {}, {} for those in use", FormatSize(s.expert_bytes), FormatSize(s.expert_cache_bytes)) +
        (s.experts_chosen == 0 ? ""
                               : fmt::format(": {:.0f} % of {} choices were in memory, {} read for the others",
                                             100 * Ratio(s.expert_hits, s.experts_chosen), s.experts_chosen,
                                             FormatSize(s.expert_bytes_read))));
  }
  if (s.rows_looked_up > 0 && s.row_memory_bytes > 0) {
    lines.push_back(fmt::format("{} rows of tables looked up, {:.0f} % were in {} for them, {} read", s.rows_looked_up,
                                100 * Ratio(s.row_hits, s.rows_looked_up), FormatSize(s.row_memory_bytes),
                                FormatSize(s.row_bytes_read)));
  }
  // Bytes per nanosecond are GB/s.
  lines.push_back(fmt::format("{} read in {} passes at {:.2f} GB/s{}, {} kernels{}", FormatSize(s.bytes_read), s.passes,
                              Ratio(s.bytes_read, s.pass_ns), s.direct_io ? "" : " through the page cache",
                              KernelName(s.kernels),
                              s.reads_retried == 0 ? "" : fmt::format(", {} reads repeated", s.reads_retried)));
  if (s.uploaded_bytes > 0) {
    lines.push_back(fmt::format("{} copied to devices, {} of it from memory", FormatSize(s.uploaded_bytes),
                                FormatSize(s.uploaded_from_memory_bytes)));
  }
  if (s.decode_passes > 0 && s.decode_ns > 0) {
    lines.push_back(
        fmt::format("decode {:.2f} tokens/s over {} tokens, disk at {:.2f} GB/s, {:.0f} % of the time waiting for it",
                    1e9 * Ratio(s.decode_passes, s.decode_ns), s.decode_passes, Ratio(s.decode_bytes, s.decode_ns),
                    100 * Ratio(s.decode_wait_ns, s.decode_ns)));
  } else {
    lines.push_back(fmt::format("{:.0f} % of the time waiting for the disk", 100 * Ratio(s.wait_ns, s.pass_ns)));
  }
  if (s.disturbed()) {
    lines.push_back(
        fmt::format("other programs kept the processor or the disk busy for about {:.0f} % of the time: headrace "
                    "learns no speeds from this run",
                    100 * s.disturbed_share()));
  }
  return lines;
}

}  // namespace

Statistics ReadStatistics(const Snapshot& snapshot) {
  const auto get = [](const auto& counter) { return counter.load(std::memory_order_relaxed); };
  Statistics s;
  s.state = get(snapshot.state);
  s.kernels = get(snapshot.kernels);
  s.direct_io = get(snapshot.direct_io) != 0;
  for (const Counter& counter : Counters()) s.*counter.value = get(snapshot.*counter.source);
  for (size_t i = 0; i < s.widths.size(); ++i) {
    s.widths[i] = {get(snapshot.widths[i].passes), get(snapshot.widths[i].tokens), get(snapshot.widths[i].ns)};
  }
  for (const Snapshot::Drive& drive : snapshot.drives) {
    if (get(drive.device) == 0) continue;
    s.drives.push_back({get(drive.device), get(drive.bytes_read), get(drive.bytes_per_s), get(drive.reads_failed)});
  }
  s.process_id = get(snapshot.process_id);
  s.model_device = get(snapshot.model_device);
  s.model.assign(snapshot.model, strnlen(snapshot.model, sizeof snapshot.model));
  s.last_error.assign(snapshot.last_error, strnlen(snapshot.last_error, sizeof snapshot.last_error));
  return s;
}

double Statistics::disturbed_share() const {
  uint64_t ns = draft_ns;
  for (const WidthSums& sums : widths) ns += sums.ns;
  return std::min(1.0, Ratio(disturbed_ns, ns));
}

std::string Statistics::Drive::Name() const { return NameOfDevice(device); }

std::vector<std::string> DriveLines(const Statistics& s) {
  uint64_t all = 0;
  for (const Statistics::Drive& drive : s.drives) all += drive.bytes_read;
  std::vector<std::string> lines;
  for (const Statistics::Drive& drive : s.drives) {
    lines.push_back(fmt::format("{}: {:.0f} % of the bytes, {:.2f} GB/s while it reads{}", drive.Name(),
                                100 * Ratio(drive.bytes_read, all), static_cast<double>(drive.bytes_per_s) / 1e9,
                                drive.reads_failed == 0 ? "" : fmt::format(", {} reads failed", drive.reads_failed)));
  }
  return lines;
}

std::string ProgressText(const Statistics& s) {
  if (s.state != Snapshot::kLoading || s.resident_target_bytes == 0) return "";
  return fmt::format("loading resident weights {} of {}",
                     FormatSize(std::min(s.resident_bytes, s.resident_target_bytes)),
                     FormatSize(s.resident_target_bytes));
}

std::vector<std::string> SummaryLines(const Statistics& s, bool on_devices) {
  std::vector<std::string> lines = WeightLines(s, on_devices);
  if (s.streamed()) {
    for (std::string& line : DriveLines(s)) lines.push_back(std::move(line));
  }
  if (s.kv_bytes_written > 0) {
    lines.push_back(
        fmt::format("KV cache in a file with {} of memory: {} computed, {} read again, {:.1f} s waiting for it",
                    FormatSize(s.kv_ram_bytes), FormatSize(s.kv_bytes_written), FormatSize(s.kv_bytes_read),
                    Seconds(s.kv_wait_ns)));
  }
  return lines;
}

}  // namespace headrace::cli
