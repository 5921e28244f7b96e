#include "batch/schedule.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace headrace::batch {
namespace {

// Of 0, 1, ...
Schedule Waiting(uint64_t slots, uint64_t tokens, const std::vector<Need>& needs) {
  Schedule schedule(slots, tokens);
  for (size_t i = 0; i < needs.size(); ++i) schedule.Add(i, needs[i]);
  return schedule;
}

TEST(Schedule, FillsSlotsAndRoom) {
  Schedule schedule = Waiting(3, 100, std::vector<Need>(4, {40, 1}));
  schedule.Start(*schedule.Next());
  schedule.Start(*schedule.Next());
  EXPECT_FALSE(schedule.Next()) << "a third does not fit";
  schedule.Finish(0);
  EXPECT_EQ(schedule.Next(), 2u);
  Schedule narrow = Waiting(1, 100, {{1, 1}, {1, 1}});
  narrow.Start(0);
  EXPECT_FALSE(narrow.Next()) << "one slot";
}

TEST(Schedule, WhatIsTooLargeRunsAlone) {
  Schedule schedule = Waiting(4, 100, {{500, 9}, {1, 1}});
  schedule.Start(*schedule.Next());
  EXPECT_FALSE(schedule.Next());
  schedule.Finish(0);
  EXPECT_EQ(schedule.Next(), 1u);
}

TEST(Schedule, ALargeOneIsNotOvertakenForEver) {
  std::vector<Need> needs(50, {30, 1});
  needs[0] = {60, 1};
  needs[1] = {100, 1};
  Schedule schedule = Waiting(2, 100, needs);
  schedule.Start(0);
  size_t overtook = 0, last = 0;
  while (const auto next = schedule.Next()) {
    EXPECT_NE(*next, 1u);
    schedule.Start(*next);
    schedule.Finish(last == 0 ? *next : last);
    ++overtook;
    ASSERT_LT(overtook, 20u);
  }
  EXPECT_GT(overtook, 0u);
  schedule.Finish(0);
  EXPECT_EQ(schedule.Next(), 1u);
}

TEST(Schedule, ABetterEstimateCounts) {
  Schedule schedule = Waiting(4, 100, {{50, 1}, {50, 1}});
  schedule.Start(0);
  schedule.SetNeed(1, {60, 1});
  EXPECT_FALSE(schedule.Next());
  schedule.SetNeed(1, {40, 1});
  EXPECT_EQ(schedule.Next(), 1u);
}

TEST(Schedule, WhoDiedWithTheEngineIsTriedAlone) {
  Schedule schedule = Waiting(4, 100, std::vector<Need>(4, {10, 1}));
  for (size_t i = 0; i < 3; ++i) schedule.Start(*schedule.Next());
  EXPECT_FALSE(schedule.alone());
  schedule.RepeatAllAlone();
  std::set<size_t> tried;
  for (int i = 0; i < 3; ++i) {
    const auto next = schedule.Next();
    ASSERT_TRUE(next);
    tried.insert(*next);
    schedule.Start(*next);
    EXPECT_EQ(schedule.alone(), next);
    EXPECT_FALSE(schedule.Next()) << "nobody beside it";
    if (i == 1) {
      schedule.Repeat(*next);
      EXPECT_EQ(schedule.Next(), next) << "still a suspect";
      schedule.Start(*next);
      EXPECT_EQ(schedule.alone(), next);
    }
    schedule.Finish(*next);
  }
  EXPECT_EQ(tried, (std::set<size_t>{0, 1, 2}));
  EXPECT_EQ(schedule.Next(), 3u);
  schedule.Start(3);
  EXPECT_FALSE(schedule.alone());
  schedule.Finish(3);
  EXPECT_TRUE(schedule.finished());
}

// Whatever happens, the room is never exceeded and each request is finished once.
TEST(Schedule, RandomLife) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const uint64_t slots = 1 + random() % 6, room = 50 + random() % 100;
    Schedule schedule(slots, room);
    std::vector<uint64_t> needs(30);
    for (size_t i = 0; i < needs.size(); ++i) schedule.Add(i, {needs[i] = 1 + random() % 150, 1});
    std::set<size_t> running, done;
    for (int step = 0; !schedule.finished(); ++step) {
      ASSERT_LT(step, 5000);
      const auto next = schedule.Next();
      if (next && random() % 3 != 0) {
        schedule.Start(*next);
        ASSERT_TRUE(running.insert(*next).second);
      } else if (!running.empty()) {
        const size_t one = *std::next(running.begin(), static_cast<long>(random() % running.size()));
        switch (step < 300 ? random() % 8 : 7) {
          case 0:
            schedule.RepeatAllAlone();
            running.clear();
            break;
          case 1:
            schedule.Repeat(one);
            running.erase(one);
            break;
          default:
            schedule.Finish(one);
            running.erase(one);
            ASSERT_TRUE(done.insert(one).second);
        }
      }
      uint64_t used = 0;
      for (const size_t i : running) used += std::min(needs[i], room);
      ASSERT_LE(used, room);
      ASSERT_LE(running.size(), slots);
      ASSERT_EQ(running.size(), schedule.running());
    }
    EXPECT_EQ(done.size(), needs.size());
  }
}

}  // namespace
}  // namespace headrace::batch
