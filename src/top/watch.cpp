#include "top/watch.h"

#include <chrono>

#include "base/text_file.h"
#include "memory/available.h"

namespace headrace::top {

Machine MachineOf(const cli::ProfileEntries& profiles, uint64_t device, uint64_t probed_disk_bytes_per_s) {
  Machine machine;
  const std::string key = cli::ProfileKey(device, "");
  int64_t measured_at = 0;
  for (const auto& [name, entry] : profiles) {
    if (!name.starts_with(key) || entry.measured_at <= measured_at) continue;
    measured_at = entry.measured_at;
    machine.disk_bytes_per_s = entry.disk_bytes_per_s;
    machine.memory_bytes_per_s = entry.memory_bytes_per_s;
  }
  // What the process was told is what it decided with.
  if (probed_disk_bytes_per_s > 0) machine.disk_bytes_per_s = static_cast<double>(probed_disk_bytes_per_s);
  return machine;
}

Picture Watch::Look() {
  const double now_s = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  Processes processes = ReadProcesses(files_);
  const auto text = ReadTextFile(cli::ProfilePath());
  const cli::ProfileEntries profiles = text ? cli::ParseProfiles(*text) : cli::ProfileEntries();
  const uint64_t available = FindAvailableMemory(ReadTextFile, ReadAddressLimits()).bytes;
  Picture picture;
  picture.notes = std::move(processes.notes);
  std::map<pid_t, std::deque<Sample>> samples;
  for (Process& process : processes.list) {
    std::deque<Sample> history = std::move(samples_[process.pid]);
    history.push_back({now_s, process.statistics});
    while (history.size() > 2 && now_s - history[1].time_s > kWindowSeconds) history.pop_front();
    Row row;
    row.rates = RatesOf(history);
    row.machine = MachineOf(profiles, process.statistics.model_device, process.statistics.probed_disk_bytes_per_s);
    row.machine.available_bytes = available;
    row.verdict = Judge(process.statistics, row.rates, row.machine);
    samples[process.pid] = std::move(history);
    row.process = std::move(process);
    picture.rows.push_back(std::move(row));
  }
  samples_ = std::move(samples);
  return picture;
}

}  // namespace headrace::top
