#include "memory/budget.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/size.h"

namespace headrace {
namespace {

TEST(Budget, ChargesAndGivesBack) {
  Budget budget(100);
  {
    auto ring = budget.Reserve(60, "ring");
    ASSERT_TRUE(ring.ok());
    auto scratch = budget.Reserve(40, "scratch");
    ASSERT_TRUE(scratch.ok());
    EXPECT_EQ(budget.used(), 100u);
    EXPECT_TRUE(budget.Reserve(0, "nothing").ok());
  }
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_EQ(budget.peak(), 100u);
}

TEST(Budget, RefusesWithTheArithmetic) {
  Budget budget(4 * kGiB);
  const auto kept = budget.Reserve(3 * kGiB, "resident weights");
  const auto refused = budget.Reserve(2 * kGiB, "ring");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kOutOfBudget);
  EXPECT_EQ(refused.status().message(),
            "ring needs 2.00 GiB, but 3.00 GiB of the limit of 4.00 GiB are in use: 1.00 GiB are left");
  EXPECT_EQ(budget.used(), 3 * kGiB);
  EXPECT_EQ(budget.peak(), 3 * kGiB);
}

TEST(Budget, HugeRequestsDoNotWrapAround) {
  Budget budget(100);
  const auto kept = budget.Reserve(50, "some");
  EXPECT_FALSE(budget.Reserve(UINT64_MAX, "all").ok());
  EXPECT_FALSE(budget.Reserve(UINT64_MAX - 49, "all").ok());
  EXPECT_EQ(budget.used(), 50u);
}

TEST(Reservation, GrowsAndShrinksWithinTheLimit) {
  Budget budget(100);
  auto reservation = budget.Reserve(10, "experts");
  ASSERT_TRUE(reservation.ok());
  EXPECT_TRUE(reservation->Grow(80).ok());
  const Status refused = reservation->Grow(11);
  EXPECT_EQ(refused.code(), Code::kOutOfBudget);
  EXPECT_NE(refused.message().find("experts needs 11 B"), std::string::npos) << refused.message();
  EXPECT_EQ(reservation->bytes(), 90u);
  EXPECT_TRUE(reservation->Shrink(40).ok());
  EXPECT_EQ(reservation->Shrink(51).code(), Code::kInternal);
  EXPECT_EQ(reservation->bytes(), 50u);
  EXPECT_EQ(budget.used(), 50u);
  EXPECT_EQ(budget.peak(), 90u);
}

TEST(Reservation, MovesWithoutChargingTwice) {
  Budget budget(100);
  auto first = budget.Reserve(30, "first");
  auto second = budget.Reserve(20, "second");
  Reservation moved = std::move(first).value();
  Reservation& alias = moved;
  moved = std::move(alias);
  EXPECT_EQ(budget.used(), 50u);
  moved = std::move(second).value();  // gives the 30 back
  EXPECT_EQ(budget.used(), 20u);
  EXPECT_EQ(moved.what(), "second");
  moved.Release();
  moved.Release();
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_EQ(moved.Grow(1).code(), Code::kInternal);
  EXPECT_TRUE(Reservation().Shrink(0).ok());
}

TEST(Budget, ThreadsNeverExceedTheLimitTogether) {
  constexpr uint64_t kLimit = 10;
  Budget budget(kLimit);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        auto reservation = budget.Reserve(3, "piece");
        if (!reservation.ok() || !reservation->Grow(2).ok()) continue;
        EXPECT_LE(budget.used(), kLimit);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_LE(budget.peak(), kLimit);
  EXPECT_GE(budget.peak(), 5u);
}

}  // namespace
}  // namespace headrace
