#include "memory/weights_allowance.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/size.h"
#include "memory/available.h"
#include "memory/region.h"

namespace headrace {
namespace {

// The measured rest is rounded up, so that small allocations do not change the plan: to 1/128 of the limit, at least
// this.
constexpr uint64_t kStepBytes = kMiB;

// Beside the caches and buffers that are foretold, an engine allocates structures (graphs, hash tables, arenas of
// threads) for the largest case and hardly touches them: 13 MiB were measured.
constexpr uint64_t kUnusedStructureBytes = 32 * kMiB;

// Parts of the limit by which it must fall or rise to count: what is available wavers. The margins are larger.
constexpr uint64_t kFallPart = 64;
constexpr uint64_t kRisePart = 16;

uint64_t Left(uint64_t whole, uint64_t part) { return whole - std::min(whole, part); }

}  // namespace

WeightsAllowance::WeightsAllowance(const Limits& limits, const AddressLimits& address_limits, ReadText read,
                                   Clock::time_point now)
    : limits_(limits), read_(std::move(read)), weights_limit_(limits.weights_bytes.value_or(UINT64_MAX)) {
  const ProcessMemory own = ReadProcessMemory(read_).value_or(ProcessMemory());
  code_bytes_ = own.file_bytes;
  unused_bytes_ = Left(own.private_bytes, own.anonymous_bytes);
  unused_stack_bytes_ = UnusedStackBytes(read_);
  if (limits_.process_bytes) {
    most_bytes_ = *limits_.process_bytes;
  } else if (limits_.automatic) {
    // Limits of address space do not change while the process runs, but what it reserves is charged to them.
    const AvailableMemory all = FindAvailableMemory(read_, address_limits);
    if (all.unknown() || all.bytes < FindAvailableMemory(read_, {}).bytes) most_bytes_ = AutomaticLimit(all, own);
  }
  Refresh(now);
}

void WeightsAllowance::Refresh(Clock::time_point now) {
  AvailableMemory available = FindAvailableMemory(read_, {});
  const auto own = ReadProcessMemory(read_);
  const auto pressure = limits_.automatic ? read_("/proc/pressure/memory") : std::nullopt;
  const std::lock_guard lock(mutex_);
  uint64_t ceiling = UINT64_MAX;
  if (!available.unknown()) {
    const uint64_t whole = limits_.automatic ? AutomaticLimit(available, own) : HardLimit(available, own);
    const double held_back = brake_.Update(pressure ? ParseFullStall(*pressure) : std::nullopt, now);
    ceiling = whole - static_cast<uint64_t>(held_back * static_cast<double>(whole));
  }
  while (!ceilings_.empty() && now - ceilings_.front().first > kRiseTime) ceilings_.pop_front();
  ceilings_.emplace_back(now, ceiling);
  uint64_t lowest = most_bytes_;
  for (const auto& [when, bytes] : ceilings_) lowest = std::min(lowest, bytes);
  const uint64_t present = process_limit_;
  const bool falls = lowest < present - present / kFallPart;
  const bool rises = lowest > present && lowest - present >= present / kRisePart;
  if (falls || rises) process_limit_ = lowest;
}

void WeightsAllowance::SetWeightsLimit(uint64_t bytes) { weights_limit_ = bytes; }

uint64_t WeightsAllowance::RestBytes() const {
  uint64_t passive = 0, passive_copied = 0, in_memory = code_bytes_;
  {
    const std::lock_guard lock(mutex_);
    passive = passive_bytes_;
    passive_copied = Left(passive_bytes_, passive_mapped_bytes_);
    in_memory += file_cache_bytes_;
  }
  uint64_t rest = 0;
  const uint64_t committed = Region::CommittedInProcess();
  if (const auto own = ReadProcessMemory(read_)) {
    const uint64_t unused = unused_bytes_ + Left(UnusedStackBytes(read_), unused_stack_bytes_);
    // Another thread may commit or give back meanwhile.
    const uint64_t not_rest = std::max(committed, Region::CommittedInProcess()) + passive_copied;
    rest = in_memory + Left(own->private_bytes, unused + not_rest);
    if (limits_.foretold_rest_bytes > 0) {
      rest = std::max(Left(rest, kUnusedStructureBytes), in_memory + Left(own->anonymous_bytes, not_rest));
    }
  }
  // As it was foretold, to the byte: whoever did has promised weights what it leaves.
  if (rest <= limits_.foretold_rest_bytes) return limits_.foretold_rest_bytes + passive;
  const uint64_t limit = process_limit();
  const uint64_t step = limit == UINT64_MAX ? kStepBytes : std::max(kStepBytes, limit / 128);
  return AlignUp(rest + passive, step);
}

uint64_t WeightsAllowance::Bytes() const {
  const uint64_t limit = process_limit();
  uint64_t passive = 0;
  {
    const std::lock_guard lock(mutex_);
    passive = passive_bytes_;
  }
  return std::min(limit == UINT64_MAX ? limit : Left(limit, RestBytes()),
                  weights_limit_ == UINT64_MAX ? UINT64_MAX : Left(weights_limit_, passive));
}

uint64_t WeightsAllowance::UsedBytes() const {
  const auto own = ReadProcessMemory(read_);
  return own ? code_bytes_ + own->anonymous_bytes : 0;
}

uint64_t WeightsAllowance::BytesWhenShort() const {
  const uint64_t committed = Region::CommittedInProcess();
  const uint64_t rest = Left(UsedBytes(), committed);
  return std::min({Left(process_limit(), rest) / 2, weights_limit_.load(), kShortBytes});
}

void WeightsAllowance::SetPassive(uint64_t weight_bytes, uint64_t mapped_bytes) {
  const std::lock_guard lock(mutex_);
  passive_bytes_ = weight_bytes;
  passive_mapped_bytes_ = mapped_bytes;
}

void WeightsAllowance::SetFileCaches(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  file_cache_bytes_ = bytes;
}

std::string WeightsAllowance::Describe() const {
  std::string text;
  const uint64_t process = process_limit(), weights = weights_limit_;
  if (limits_.process_bytes || weights == UINT64_MAX || process < weights) {
    const bool short_of = process < most_bytes_ && !limits_.automatic;
    text = fmt::format("{} for the process{} - {} for all but weights", FormatSize(process),
                       short_of ? ", since no more is available" : "", FormatSize(RestBytes()));
  }
  if (weights != UINT64_MAX)
    text += fmt::format("{}{} for weights", text.empty() ? "" : ", at most ", FormatSize(weights));
  return text;
}

}  // namespace headrace
