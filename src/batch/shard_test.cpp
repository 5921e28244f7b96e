#include "batch/shard.h"

#include <gtest/gtest.h>

namespace headrace::batch {
namespace {

TEST(Shard, TogetherTheyHaveEachRequestOnce) {
  for (const uint64_t of : {1, 2, 3, 7}) {
    for (uint64_t index = 0; index < 50; ++index) {
      int owners = 0;
      for (uint64_t number = 1; number <= of; ++number) owners += Shard{number, of}.Has(index);
      EXPECT_EQ(owners, 1) << index << " of " << of;
    }
  }
}

TEST(Shard, ParsesNumberAndCount) {
  const auto shard = ParseShard("2/4");
  ASSERT_TRUE(shard.ok());
  EXPECT_EQ(shard->number, 2u);
  EXPECT_EQ(shard->of, 4u);
  EXPECT_EQ(ResultsName(*shard), "results-2-of-4.jsonl");
  EXPECT_EQ(ResultsName({}), "results.jsonl");
  for (const char* wrong : {"", "2", "0/4", "5/4", "2/0", "a/4", "1/4x", "-1/4", "1/2/3", "1/9999999"}) {
    const auto refused = ParseShard(wrong);
    EXPECT_FALSE(refused.ok()) << wrong;
    EXPECT_EQ(refused.status().code(), Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace headrace::batch
