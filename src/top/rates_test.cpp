#include "top/rates.h"

#include <gtest/gtest.h>

namespace headrace::top {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

// After `seconds` at 2 passes/s of 3 tokens, 1 GB read for each; half of the time waiting, a quarter in kernels.
Sample At(double seconds) {
  Sample sample;
  sample.time_s = 100 + seconds;
  cli::Statistics& s = sample.statistics;
  const auto at = [&](double per_second) { return static_cast<uint64_t>(per_second * seconds); };
  s.passes = at(2);
  s.tokens = at(6);
  s.bytes_read = at(2e9);
  s.pass_ns = at(0.8e9);
  s.wait_ns = at(0.4e9);
  s.kernel_ns = at(0.2e9);
  s.own_ns = at(0.04e9);
  s.experts_chosen = at(100);
  s.expert_hits = at(75);
  s.decode_weight_bytes = at(4e9);
  s.decode_kernel_ns = at(0.2e9);
  return sample;
}

TEST(RatesOf, OneReadingHasNoSpeed) {
  EXPECT_EQ(RatesOf({}).seconds, 0);
  EXPECT_EQ(RatesOf({At(5)}).disk_bytes_per_s, 0);
  EXPECT_FALSE(RatesOf({At(5)}).tokens_per_s.has_value());
  EXPECT_EQ(RatesOf({At(5), At(5)}).seconds, 0) << "no time has passed";
}

TEST(RatesOf, SpeedsAndShares) {
  const Rates rates = RatesOf({At(4), At(8)});
  EXPECT_DOUBLE_EQ(rates.seconds, 4);
  EXPECT_DOUBLE_EQ(rates.disk_bytes_per_s, 2e9);
  EXPECT_DOUBLE_EQ(rates.busy_share, 0.8);
  EXPECT_DOUBLE_EQ(rates.wait_share, 0.5);
  EXPECT_DOUBLE_EQ(rates.kernel_share, 0.25);
  EXPECT_DOUBLE_EQ(rates.own_share, 0.05);
  EXPECT_NEAR(rates.engine_share, 0.2, 1e-9);
  EXPECT_DOUBLE_EQ(rates.pass_disk_bytes_per_s, 2.5e9);
  EXPECT_DOUBLE_EQ(*rates.tokens_per_s, 6);
  EXPECT_DOUBLE_EQ(*rates.passes_per_s, 2);
  EXPECT_DOUBLE_EQ(*rates.hit_rate, 0.75);
  EXPECT_DOUBLE_EQ(rates.memory_bytes_per_s, 2e10);
}

TEST(RatesOf, SlowPassesAreSeenOverMoreThanOneInterval) {
  // Half a pass in each interval: passes end in every second one.
  std::deque<Sample> samples;
  for (int i = 0; i <= 12; ++i) samples.push_back(At(i * 0.25));
  const Rates rates = RatesOf(samples);
  EXPECT_DOUBLE_EQ(rates.seconds, 0.25);
  EXPECT_NEAR(*rates.passes_per_s, 2, 0.5) << "whole passes only";
  // Long ago is not now.
  samples.front().time_s -= 100;
  samples[1].time_s -= 100;
  EXPECT_NEAR(*RatesOf(samples).passes_per_s, 2, 0.5);
}

TEST(RatesOf, NoPassEndedYetIsUnknownAndIdleIsZero) {
  Sample running = At(10);
  running.statistics.passes = At(9).statistics.passes;
  EXPECT_FALSE(RatesOf({At(9), running}).tokens_per_s.has_value());
  Sample idle = At(9);
  idle.time_s += 1;
  const Rates rates = RatesOf({At(1), At(9), idle});
  EXPECT_EQ(*rates.tokens_per_s, 0);
  EXPECT_EQ(rates.busy_share, 0);
  EXPECT_EQ(rates.engine_share, 0);
  EXPECT_FALSE(rates.hit_rate.has_value());
}

TEST(RatesOf, CountersThatStartAgain) {
  Sample again = At(1);
  again.time_s = At(9).time_s + 1;
  const Rates rates = RatesOf({At(9), again});
  EXPECT_DOUBLE_EQ(rates.disk_bytes_per_s, 2e9);
  EXPECT_DOUBLE_EQ(*rates.passes_per_s, 2);
}

TEST(RatesOf, NonsenseStaysWithinBounds) {
  Sample wild = At(2);
  wild.statistics.wait_ns = wild.statistics.kernel_ns = UINT64_MAX;
  wild.statistics.expert_hits = UINT64_MAX;
  wild.statistics.pass_ns = 100 * kSecond;
  const Rates rates = RatesOf({At(1), wild});
  EXPECT_LE(rates.busy_share, 1);
  EXPECT_LE(rates.wait_share, 1);
  EXPECT_LE(*rates.hit_rate, 1);
  EXPECT_GE(rates.engine_share, 0);
}

}  // namespace
}  // namespace headrace::top
