#include "worker/large_blocks.h"

#include <gtest/gtest.h>

#include "worker/worker_limits.h"

namespace headrace {
namespace {

TEST(LargeBlocks, WhatIsBeyondTheFirstMessageIsCharged) {
  ClientMemory* memory = ClientMemory::Make(kMessageBytes + 100);
  ASSERT_NE(memory, nullptr);
  const int account = memory->Open(kMessageBytes);
  LargeBlocks blocks(*memory, account);
  int a = 0, b = 0, c = 0;
  ASSERT_TRUE(blocks.Take(kMessageBytes));
  blocks.Keep(&a, kMessageBytes);
  EXPECT_EQ(memory->free_bytes(), 100u);
  ASSERT_TRUE(blocks.Take(60));
  blocks.Keep(&b, 60);
  EXPECT_EQ(memory->free_bytes(), 40u);
  EXPECT_FALSE(blocks.Take(41));
  EXPECT_FALSE(blocks.Take(UINT64_MAX));
  EXPECT_EQ(blocks.bytes(), kMessageBytes + 60);
  blocks.GiveBack(&c);
  EXPECT_EQ(memory->free_bytes(), 40u);
  blocks.GiveBack(&a);
  EXPECT_EQ(memory->free_bytes(), 100u);
  blocks.GiveBack(&b);
  EXPECT_EQ(blocks.bytes(), 0u);
  EXPECT_EQ(memory->held_bytes(account), kMessageBytes);
}

TEST(LargeBlocks, ClientsShareWhatIsFree) {
  ClientMemory* memory = ClientMemory::Make(2 * kMessageBytes + 100);
  ASSERT_NE(memory, nullptr);
  LargeBlocks first(*memory, memory->Open(kMessageBytes)), second(*memory, memory->Open(kMessageBytes));
  EXPECT_TRUE(first.Take(kMessageBytes + 80));
  EXPECT_FALSE(second.Take(kMessageBytes + 80));
  EXPECT_TRUE(second.Take(kMessageBytes + 20));
  EXPECT_EQ(memory->free_bytes(), 0u);
}

}  // namespace
}  // namespace headrace
