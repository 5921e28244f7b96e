#include "stream/load_order.h"

#include <gtest/gtest.h>

namespace headrace {
namespace {

constexpr uint64_t kFile = 1'000'000;

// A layer of 1000 bytes: norm, gate, up, down in the file; down is asked for before up.
std::vector<FileRange> Layer(uint64_t number) {
  const uint64_t at = 100 + 1000 * number;
  return {{at, 10}, {at + 10, 300}, {at + 610, 390}, {at + 310, 300}};
}

TEST(LoadOrder, KnowsNothingAtFirst) {
  LoadOrder order;
  EXPECT_TRUE(order.Next(5000, kFile).empty());
  for (const FileRange& range : Layer(0)) order.Add(range);
  EXPECT_TRUE(order.Next(5000, kFile).empty());
}

TEST(LoadOrder, LayersRepeatThemselves) {
  LoadOrder order;
  for (const FileRange& range : Layer(0)) order.Add(range);
  order.Add(Layer(1)[0]);
  order.Add(Layer(1)[1]);
  std::vector<FileRange> expected = {Layer(1)[2], Layer(1)[3]};
  for (uint64_t number = 2; number < 5; ++number) {
    for (const FileRange& range : Layer(number)) expected.push_back(range);
  }
  EXPECT_EQ(order.Next(690 + 3 * 1000, kFile), expected);
}

TEST(LoadOrder, NothingIsBeyondTheFile) {
  LoadOrder order;
  for (const FileRange& range : Layer(0)) order.Add(range);
  for (const FileRange& range : Layer(1)) order.Add(range);
  EXPECT_EQ(order.Next(kFile, 100 + 3000), Layer(2));
}

// Layers of two sizes, as mixes of quantizations have them.
TEST(LoadOrder, FollowsTheLastLayerOfTheSameSizes) {
  const auto small = [](uint64_t at) { return std::vector<FileRange>{{at, 10}, {at + 10, 300}, {at + 310, 200}}; };
  const auto large = [](uint64_t at) { return std::vector<FileRange>{{at, 10}, {at + 10, 400}, {at + 410, 250}}; };
  LoadOrder order;
  for (const FileRange& range : small(0)) order.Add(range);
  for (const FileRange& range : large(510)) order.Add(range);
  for (const FileRange& range : small(1170)) order.Add(range);
  order.Add(large(1680)[0]);
  order.Add(large(1680)[1]);
  const auto next = order.Next(251, kFile);
  ASSERT_EQ(next.size(), 2u);
  EXPECT_EQ(next[0], large(1680)[2]);
  EXPECT_EQ(next[1], small(2340)[0]);
}

}  // namespace
}  // namespace headrace
