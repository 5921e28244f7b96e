#include "top/rates.h"

#include <algorithm>

namespace headrace::top {
namespace {

// Passes that make a speed.
constexpr uint64_t kEnoughPasses = 4;

uint64_t Added(uint64_t before, uint64_t now) { return now >= before ? now - before : now; }

double Ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

double Share(uint64_t part, uint64_t whole) {
  return std::min(1.0, Ratio(static_cast<double>(part), static_cast<double>(whole)));
}

}  // namespace

Rates RatesOf(const std::deque<Sample>& samples) {
  Rates rates;
  if (samples.size() < 2) return rates;
  const Sample& last = samples.back();
  const Sample& previous = samples[samples.size() - 2];
  const cli::Statistics &now = last.statistics, &before = previous.statistics;
  rates.seconds = last.time_s - previous.time_s;
  if (rates.seconds <= 0) return Rates();
  const uint64_t pass_ns = Added(before.pass_ns, now.pass_ns);
  const uint64_t bytes = Added(before.bytes_read, now.bytes_read);
  rates.disk_bytes_per_s = static_cast<double>(bytes) / rates.seconds;
  rates.upload_bytes_per_s = static_cast<double>(Added(before.uploaded_bytes, now.uploaded_bytes)) / rates.seconds;
  rates.busy_share = std::min(1.0, static_cast<double>(pass_ns) / 1e9 / rates.seconds);
  rates.wait_share = Share(Added(before.wait_ns, now.wait_ns), pass_ns);
  rates.kernel_share = Share(Added(before.kernel_ns, now.kernel_ns), pass_ns);
  rates.own_share = Share(Added(before.own_ns, now.own_ns), pass_ns);
  if (pass_ns > 0) rates.engine_share = std::max(0.0, 1 - rates.wait_share - rates.kernel_share - rates.own_share);
  rates.pass_disk_bytes_per_s = 1e9 * Ratio(static_cast<double>(bytes), static_cast<double>(pass_ns));
  if (const uint64_t chosen = Added(before.experts_chosen, now.experts_chosen); chosen > 0) {
    rates.hit_rate = Share(Added(before.expert_hits, now.expert_hits), chosen);
  }
  rates.memory_bytes_per_s =
      1e9 * Ratio(static_cast<double>(now.decode_weight_bytes), static_cast<double>(now.decode_kernel_ns));

  // The youngest reading that is enough passes away, or the oldest.
  const Sample* from = &previous;
  for (auto it = samples.rbegin() + 1; it != samples.rend() && last.time_s - it->time_s <= kWindowSeconds; ++it) {
    from = &*it;
    if (Added(it->statistics.passes, now.passes) >= kEnoughPasses) break;
  }
  const double seconds = last.time_s - from->time_s;
  const uint64_t passes = Added(from->statistics.passes, now.passes);
  if (pass_ns == 0) {
    rates.tokens_per_s = rates.passes_per_s = 0;
  } else if (passes > 0) {
    rates.tokens_per_s = static_cast<double>(Added(from->statistics.tokens, now.tokens)) / seconds;
    rates.passes_per_s = static_cast<double>(passes) / seconds;
  }
  return rates;
}

}  // namespace headrace::top
