#include "stream/gathered_pieces.h"

#include <numeric>

#include <gtest/gtest.h>

namespace headrace {
namespace {

// Whatever the pieces that come, those that go are few, about equal, in order and without gaps.
TEST(GatheredPieces, AreFewAndWhole) {
  for (const uint64_t bytes : {1u, 7u, 24u, 25u, 100u}) {
    std::vector<uint8_t> range(bytes), taken;
    std::iota(range.begin(), range.end(), uint8_t{1});
    for (const uint64_t each : {1u, 5u, 24u, 100u}) {
      taken.clear();
      uint64_t count = 0;
      GatheredPieces pieces(bytes, 24, [&](const uint8_t* data, uint64_t offset, uint64_t size) {
        EXPECT_EQ(offset, taken.size());
        EXPECT_LE(size, 24u);
        EXPECT_GT(size, bytes > 24 ? 10u : 0u);
        taken.insert(taken.end(), data, data + size);
        ++count;
      });
      for (uint64_t at = 0; at < bytes; at += each) pieces.Add(range.data() + at, std::min(each, bytes - at));
      EXPECT_EQ(taken, range) << bytes << " by " << each;
      EXPECT_EQ(count, (bytes + 23) / 24);
    }
  }
}

}  // namespace
}  // namespace headrace
