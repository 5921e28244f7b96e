#include "memory/weights_allowance.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/size.h"
#include "memory/region.h"

namespace headrace {
namespace {

// The rest is rounded up, so that small allocations do not change the plan: to 1/128 of the limit, at least this.
constexpr uint64_t kStepBytes = kMiB;

// Beside the caches and buffers that are foretold, an engine allocates structures (graphs, hash tables, arenas of
// threads) for the largest case and hardly touches them: 13 MiB were measured.
constexpr uint64_t kUnusedStructureBytes = 32 * kMiB;

uint64_t Left(uint64_t whole, uint64_t part) { return whole - std::min(whole, part); }

}  // namespace

WeightsAllowance::WeightsAllowance(const Limits& limits, ReadText read) : limits_(limits), read_(std::move(read)) {
  const ProcessMemory own = ReadProcessMemory(read_).value_or(ProcessMemory());
  code_bytes_ = own.file_bytes;
  unused_bytes_ = Left(own.private_bytes, own.anonymous_bytes);
  unused_stack_bytes_ = UnusedStackBytes(read_);
}

uint64_t WeightsAllowance::RestBytes() const {
  uint64_t passive = 0, passive_copied = 0;
  {
    const std::lock_guard lock(mutex_);
    passive = passive_bytes_;
    passive_copied = Left(passive_bytes_, passive_mapped_bytes_);
  }
  uint64_t rest = 0;
  if (const auto own = ReadProcessMemory(read_)) {
    const uint64_t unused = unused_bytes_ + Left(UnusedStackBytes(read_), unused_stack_bytes_);
    const uint64_t not_rest = Region::CommittedInProcess() + passive_copied;
    rest = code_bytes_ + Left(own->private_bytes, unused + not_rest);
    if (limits_.foretold_rest_bytes > 0) {
      rest = std::max(Left(rest, kUnusedStructureBytes), code_bytes_ + Left(own->anonymous_bytes, not_rest));
    }
  }
  return AlignUp(std::max(rest, limits_.foretold_rest_bytes) + passive, std::max(kStepBytes, process_limit() / 128));
}

uint64_t WeightsAllowance::Bytes() const {
  uint64_t bytes = UINT64_MAX;
  if (limits_.process_bytes) bytes = Left(*limits_.process_bytes, RestBytes());
  if (limits_.weights_bytes) {
    const std::lock_guard lock(mutex_);
    bytes = std::min(bytes, Left(*limits_.weights_bytes, passive_bytes_));
  }
  return bytes;
}

uint64_t WeightsAllowance::UsedBytes() const {
  const auto own = ReadProcessMemory(read_);
  return own ? code_bytes_ + own->anonymous_bytes : 0;
}

void WeightsAllowance::SetPassive(uint64_t weight_bytes, uint64_t mapped_bytes) {
  const std::lock_guard lock(mutex_);
  passive_bytes_ = weight_bytes;
  passive_mapped_bytes_ = mapped_bytes;
}

std::string WeightsAllowance::Describe() const {
  std::string text;
  if (limits_.process_bytes) {
    text = fmt::format("{} for the process - {} for all but weights", FormatSize(*limits_.process_bytes), FormatSize(RestBytes()));
  }
  if (limits_.weights_bytes) {
    text += fmt::format("{}{} for weights", text.empty() ? "" : ", at most ", FormatSize(*limits_.weights_bytes));
  }
  return text;
}

}  // namespace headrace
