#include "commands/transfer_speed.h"

namespace headrace::cli {
namespace {

constexpr double kSpeedWindow = 10, kSpeedStep = 0.2;

}  // namespace

void TransferSpeed::Add(double seconds, uint64_t bytes) {
  // What begins anew has no speed yet.
  if (!samples_.empty() && bytes < samples_.back().second) samples_.clear();
  if (!samples_.empty() && seconds < samples_.back().first + kSpeedStep) return;
  samples_.emplace_back(seconds, bytes);
  while (samples_.size() > 2 && samples_.front().first < seconds - kSpeedWindow) samples_.pop_front();
}

double TransferSpeed::bytes_per_s() const {
  if (samples_.size() < 2) return 0;
  const auto& [begin, first] = samples_.front();
  const auto& [end, last] = samples_.back();
  return static_cast<double>(last - first) / (end - begin);
}

}  // namespace headrace::cli
