#include "telemetry/counter_growth.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

TEST(CounterGrowth, SumsAcrossCountersThatStartAgain) {
  CounterGrowth growth;
  uint64_t sum = 0;
  for (const uint64_t total : {5, 5, 12, 3, 4}) sum += growth.Advance(total);
  EXPECT_EQ(sum, 12u + 4u);
}

}  // namespace
}  // namespace headrace
