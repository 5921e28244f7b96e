#include "top/verdict.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/size.h"

namespace headrace::top {
namespace {

// Below this share of its time in passes a process has nothing to do.
constexpr double kIdleShare = 0.01;
// From this share of waiting on, the disk is the first thing to improve.
constexpr double kDiskShare = 0.3;
// Kernels that consume this share of what memory delivers are limited by it: they also read activations.
constexpr double kMemoryShare = 0.6;
// A disk below this share of its probed speed, while passes wait for it, serves somebody else too.
constexpr double kBusyDiskShare = 0.6;
// Less is not worth a line.
constexpr double kWorthwhile = 1.1;
// What a user may add to a machine.
constexpr uint64_t kUsualMemory = 4 * kGiB;

double Double(uint64_t value) { return static_cast<double>(value); }

uint64_t AbsentExperts(const cli::Statistics& s) {
  return s.expert_bytes - std::min(s.expert_bytes, s.expert_cache_bytes);
}

std::string DiskAdvice(const cli::Statistics& s, const Rates& rates, const Machine& machine) {
  const uint64_t absent = s.streamed_bytes_per_pass + AbsentExperts(s);
  const uint64_t free = machine.available_bytes - machine.available_bytes / 10;
  std::string advice;
  const uint64_t more = std::min(absent, free);
  const uint64_t bought = std::min(absent, kUsualMemory);
  if (const double faster = SpeedUp(s, rates, more); more > 0 && faster >= kWorthwhile) {
    advice = fmt::format("{} more memory, which is free: {:.1f} times as fast", FormatSize(more), faster);
  } else if (const double dearer = SpeedUp(s, rates, bought); bought > 0 && dearer >= kWorthwhile) {
    advice = fmt::format("{} more memory than this machine has free: {:.1f} times as fast", FormatSize(bought), dearer);
  } else {
    advice = "a draft model: more tokens for the same passes; or a faster disk";
  }
  if (machine.disk_bytes_per_s > 0 && rates.pass_disk_bytes_per_s < kBusyDiskShare * machine.disk_bytes_per_s) {
    advice += fmt::format("; the disk gives {:.2f} of its {:.2f} GB/s: does something else use it?",
                          rates.pass_disk_bytes_per_s / 1e9, machine.disk_bytes_per_s / 1e9);
  }
  return advice;
}

}  // namespace

const char* ToString(Limit limit) {
  switch (limit) {
    case Limit::kPassive:
      return "passive";
    case Limit::kLoading:
      return "loading";
    case Limit::kIdle:
      return "idle";
    case Limit::kDisk:
      return "disk-bound";
    case Limit::kMemory:
      return "memory-bound";
    case Limit::kCompute:
      return "compute-bound";
  }
  return "";
}

double SpeedUp(const cli::Statistics& s, const Rates& rates, uint64_t more_bytes) {
  // What is used in each pass becomes resident before experts do (plan/residency.h).
  const uint64_t shared = std::min(more_bytes, s.streamed_bytes_per_pass);
  const uint64_t absent = AbsentExperts(s);
  const uint64_t experts = std::min(more_bytes - shared, absent);
  const double expert_reads = s.passes > 0 ? Double(s.expert_bytes_read) / Double(s.passes) : 0;
  const double before = Double(s.streamed_bytes_per_pass) + expert_reads;
  if (before <= 0) return 1;
  const double after = Double(s.streamed_bytes_per_pass - shared) +
                       (absent > 0 ? expert_reads * (1 - Double(experts) / Double(absent)) : expert_reads);
  return 1 / std::max({after / before, 1 - rates.wait_share, 0.01});
}

Verdict Judge(const cli::Statistics& s, const Rates& rates, const Machine& machine) {
  if (s.on_devices()) return {Limit::kPassive, "nothing streams: all layers are on devices"};
  if (!s.streamed() || s.state == Snapshot::kPassive)
    return {Limit::kPassive, "nothing streams: its weights fit, or none are loaded"};
  if (s.state == Snapshot::kLoading) return {Limit::kLoading, cli::ProgressText(s)};
  if (rates.busy_share < kIdleShare) return {Limit::kIdle, ""};
  if (rates.wait_share >= kDiskShare) return {Limit::kDisk, DiskAdvice(s, rates, machine)};
  if (machine.memory_bytes_per_s > 0 && rates.kernel_share > rates.engine_share &&
      rates.memory_bytes_per_s >= kMemoryShare * machine.memory_bytes_per_s) {
    return {Limit::kMemory, "a smaller quantization: kernels wait for memory, not for the disk or the processor"};
  }
  return {Limit::kCompute,
          rates.engine_share > rates.kernel_share
              ? "a shorter context or more threads: most of the time goes to the engine's own operations"
              : "more threads or a faster processor: the disk keeps up, more memory would not help"};
}

}  // namespace headrace::top
