#include "exec/pass.h"

#include <gtest/gtest.h>

#include "base/size.h"

namespace headrace {
namespace {

// A weight of that many rows of 1000 bytes, at offset 500 of no file.
void Make(Weight& weight, uint64_t rows, uint64_t resident, uint64_t target) {
  weight.cut = {rows, 1000, true};
  weight.origin.offset = 500;
  weight.resident_rows = resident;
  weight.target_rows = target;
}

struct Scheduled {
  std::vector<Takeover> takeovers;
  std::vector<std::vector<SegmentRows>> next;
};

Scheduled Schedule(std::vector<Weight*> weights, uint64_t segment_limit) {
  Scheduled scheduled;
  for (Weight* weight : weights) scheduled.takeovers.emplace_back().weight = weight;
  SchedulePass(scheduled.takeovers, 0, segment_limit, scheduled.next);
  return scheduled;
}

TEST(SchedulePass, CoversEveryRowThatIsNotResidentOnceAndInOrder) {
  Weight weight;
  Make(weight, 1000, 128, 320);
  const Scheduled pass = Schedule({&weight}, 200 * 1000);
  uint64_t row = 128, kept = 0;
  for (const SegmentRows& rows : pass.takeovers[0].segments) {
    EXPECT_EQ(rows.first_row, row);
    EXPECT_LE(rows.rows, 200u);
    EXPECT_EQ(SegmentOf(weight, rows).offset, 500 + row * 1000);
    EXPECT_EQ(SegmentOf(weight, rows).bytes, rows.rows * 1000);
    row += rows.rows;
    EXPECT_TRUE(row == 1000 || row % kRowGroup == 0) << row;
    if (rows.keep) kept = row;
  }
  EXPECT_EQ(row, 1000u);
  EXPECT_EQ(kept, 320u);
  EXPECT_EQ(pass.takeovers[0].resident_rows, 128u);
  uint64_t next_rows = 0;
  for (const SegmentRows& rows : pass.next[0]) next_rows += rows.rows;
  EXPECT_EQ(next_rows, 680u);
}

TEST(SchedulePass, ASecondUseFindsResidentWhatTheFirstKept) {
  Weight weight;
  Make(weight, 256, 0, 256);
  const Scheduled pass = Schedule({&weight, &weight}, kMiB);
  EXPECT_EQ(pass.takeovers[0].segments.size(), 1u);
  EXPECT_TRUE(pass.takeovers[1].segments.empty());
  EXPECT_EQ(pass.takeovers[1].resident_rows, 256u);
  EXPECT_TRUE(pass.next[0].empty());
  EXPECT_TRUE(pass.next[1].empty());
}

TEST(SchedulePass, TheRestOfAPassIsScheduledAnewWhenItsWeightsHaveShrunk) {
  Weight had_its_turn, waits;
  Make(had_its_turn, 256, 256, 256);
  Make(waits, 256, 192, 256);
  Scheduled pass = Schedule({&had_its_turn, &waits, &had_its_turn}, kMiB);
  had_its_turn.resident_rows = had_its_turn.target_rows = 64;
  waits.resident_rows = waits.target_rows = 128;
  SchedulePass(pass.takeovers, 1, kMiB, pass.next);
  EXPECT_TRUE(pass.takeovers[0].segments.empty()) << "as it was";
  EXPECT_EQ(pass.takeovers[1].resident_rows, 128u);
  ASSERT_EQ(pass.takeovers[1].segments.size(), 1u);
  EXPECT_EQ(pass.takeovers[1].segments[0].first_row, 128u);
  EXPECT_FALSE(pass.takeovers[1].segments[0].keep);
  EXPECT_EQ(pass.takeovers[2].resident_rows, 64u);
  ASSERT_EQ(pass.next[0].size(), 1u);
  EXPECT_EQ(pass.next[0][0].first_row, 64u) << "the next pass";
}

TEST(SchedulePass, WhatCannotBeCutIsOneSegment) {
  Weight weight;
  Make(weight, 1, 0, 0);
  weight.cut = {1, 5 * kMiB, false};
  const Scheduled pass = Schedule({&weight}, kMiB);
  ASSERT_EQ(pass.takeovers[0].segments.size(), 1u);
  EXPECT_EQ(SegmentOf(weight, pass.takeovers[0].segments[0]).bytes, 5 * kMiB);
}

TEST(CutSegments, ASegmentFitsTheScratchInItsLargestLayout) {
  Weight weight;
  Make(weight, 1000, 0, 0);
  const PackedLayout larger{nullptr, 1500, std::nullopt};
  weight.packed = &larger;
  std::vector<SegmentRows> segments;
  CutSegments(weight, 0, 1000, 256 * 1000, false, segments);
  for (const SegmentRows& segment : segments) EXPECT_LE(segment.rows, 128u);
  EXPECT_EQ(SegmentOf(weight, segments[0]).bytes, 128u * 1000) << "what is read is the file's";
}

TEST(CutSegments, NoSegmentHoldsTwoExperts) {
  Weight weight;
  Make(weight, 4 * 100, 0, 0);
  weight.experts = true;
  weight.tensor.ne[1] = 100;
  std::vector<SegmentRows> segments;
  CutSegments(weight, 100, 300, kMiB, false, segments);
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].first_row, 100u);
  EXPECT_EQ(segments[1].first_row, 200u);
  segments.clear();
  CutSegments(weight, 100, 200, 64 * 1000, false, segments);
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].rows, 64u);
  EXPECT_EQ(segments[1].rows, 36u);
}

}  // namespace
}  // namespace headrace
