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

ggml_tensor Node(int64_t columns) {
  ggml_tensor node{};
  node.ne[0] = 1;
  node.ne[1] = columns;
  node.ne[2] = node.ne[3] = 1;
  return node;
}

TEST(SchedulePass, CoversEveryRowThatIsNotResidentOnceAndInOrder) {
  Weight weight;
  Make(weight, 1000, 128, 320);
  ggml_tensor node = Node(7);
  const Pass pass = SchedulePass({{&node, nullptr, nullptr, &weight}}, 200 * 1000);
  uint64_t row = 128, kept = 0;
  ASSERT_EQ(pass.rows.size(), pass.segments.size());
  for (size_t i = 0; i < pass.rows.size(); ++i) {
    EXPECT_EQ(pass.rows[i].first_row, row);
    EXPECT_LE(pass.rows[i].rows, 200u);
    EXPECT_EQ(pass.segments[i].offset, 500 + row * 1000);
    EXPECT_EQ(pass.segments[i].bytes, pass.rows[i].rows * 1000);
    row += pass.rows[i].rows;
    EXPECT_TRUE(row == 1000 || row % kRowGroup == 0) << row;
    if (pass.rows[i].keep) kept = row;
  }
  EXPECT_EQ(row, 1000u);
  EXPECT_EQ(kept, 320u);
  EXPECT_EQ(pass.takeovers[0].resident_rows, 128u);
  EXPECT_EQ(pass.segment_bytes, 872u * 1000);
  EXPECT_EQ(pass.columns, 7);
  uint64_t next_bytes = 0;
  for (const Segment& segment : pass.next) next_bytes += segment.bytes;
  EXPECT_EQ(next_bytes, 680u * 1000);
}

TEST(SchedulePass, ASecondUseFindsResidentWhatTheFirstKept) {
  Weight weight;
  Make(weight, 256, 0, 256);
  ggml_tensor node = Node(1);
  const Pass pass = SchedulePass({{&node, nullptr, nullptr, &weight}, {&node, nullptr, nullptr, &weight}}, kMiB);
  EXPECT_EQ(pass.takeovers[0].segments, 1u);
  EXPECT_EQ(pass.takeovers[1].segments, 0u);
  EXPECT_EQ(pass.takeovers[1].resident_rows, 256u);
  EXPECT_TRUE(pass.next.empty());
}

TEST(SchedulePass, WhatCannotBeCutIsOneSegment) {
  Weight weight;
  Make(weight, 1, 0, 0);
  weight.cut = {1, 5 * kMiB, false};
  ggml_tensor node = Node(1);
  const Pass pass = SchedulePass({{&node, nullptr, nullptr, &weight}}, kMiB);
  ASSERT_EQ(pass.segments.size(), 1u);
  EXPECT_EQ(pass.segments[0].bytes, 5 * kMiB);
}

}  // namespace
}  // namespace headrace
