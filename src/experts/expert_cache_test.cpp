#include "experts/expert_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>

#include "base/size.h"
#include "io/faulty_reader.h"
#include "io/io_test_util.h"

namespace headrace {
namespace {

constexpr uint64_t kFileBytes = 4 * kMiB + 100;

// Two layers of eight experts with three slices each, not aligned to pages, and one layer of larger ones.
class ExpertCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(WriteTestFile(directory_ / "experts", kFileBytes));
    auto file = SourceFile::Open(directory_ / "experts");
    ASSERT_TRUE(file.ok()) << file.status().message();
    file_ = std::make_unique<SourceFile>(std::move(*file));
    const auto slices = [&](uint64_t offset, uint64_t bytes) { return ExpertSlices{file_.get(), offset, bytes}; };
    layers_ = {{{slices(64, 30'000), slices(300'064, 30'000), slices(600'064, 17'008)}, 8},
               {{slices(1'000'032, 30'000), slices(1'300'032, 30'000), slices(1'600'000, 17'008)}, 8},
               {{slices(2 * kMiB, 1'200 * 1024), slices(2 * kMiB + 1'200 * 1024, 4096)}, 1}};
  }

  void Start(uint64_t arena_bytes, const std::string& faults = "") {
    auto reader = MakeReader(ReaderKind::kAuto, ExpertCache::kDepth);
    ASSERT_TRUE(reader.ok());
    if (!faults.empty()) {
      const auto spec = ParseFaultSpec(faults);
      ASSERT_TRUE(spec.ok()) << spec.status().message();
      *reader = MakeFaultyReader(std::move(*reader), *spec);
    }
    auto cache = ExpertCache::Start(std::move(*reader), layers_, arena_bytes);
    ASSERT_TRUE(cache.ok()) << cache.status().message();
    cache_ = std::move(*cache);
  }

  // An arena with that many slots for the first two layers together.
  uint64_t ArenaFor(uint64_t slots) const {
    const uint64_t small = layers_[0].SlotBytes(), large = layers_[2].SlotBytes();
    return slots * small * (16 * small + large) / (16 * small) + small / 2;
  }

  // Waits for every slice of every pinned expert and compares its bytes.
  void CheckAll(const ExpertCache::Pins& pins, uint32_t layer) {
    for (size_t slice = 0; slice < layers_[layer].slices.size(); ++slice) {
      for (size_t i = 0; i < pins.size(); ++i) {
        const size_t waiting[] = {i};
        ASSERT_TRUE(pins.WaitForAny(slice, waiting).ok());
        ASSERT_NE(pins.data(i, slice), nullptr);
        const ExpertSlices& source = layers_[layer].slices[slice];
        ASSERT_EQ(FirstDifference(reinterpret_cast<const std::byte*>(pins.data(i, slice)),
                                  source.offset + pins.expert(i) * source.bytes, source.bytes), -1)
            << "layer " << layer << ", expert " << pins.expert(i) << ", slice " << slice;
      }
    }
  }

  TestDirectory directory_;
  std::unique_ptr<SourceFile> file_;
  std::vector<ExpertLayout> layers_;
  std::unique_ptr<ExpertCache> cache_;
};

TEST_F(ExpertCacheTest, DeliversTheBytesOfWhatIsDemanded) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(5)));
  ASSERT_EQ(cache_->slots(0), 5u);
  EXPECT_EQ(cache_->slots(1), 5u);
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    const uint32_t layer = random() % 2;
    std::vector<uint32_t> experts = {0, 1, 2, 3, 4, 5, 6, 7};
    std::shuffle(experts.begin(), experts.end(), random);
    experts.resize(1 + random() % 5);
    auto pins = cache_->Demand(layer, experts);
    ASSERT_TRUE(pins.ok()) << pins.status().message();
    ASSERT_EQ(pins->size(), experts.size());
    for (size_t e = 0; e < experts.size(); ++e) EXPECT_EQ(pins->expert(e), experts[e]);
    if (random() % 4 == 0) continue;  // given up while it loads
    ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, layer));
  }
  EXPECT_LE(cache_->ready_bytes(), 5 * layers_[0].SlotBytes());
}

TEST_F(ExpertCacheTest, WhatIsInMemoryIsNotReadAgain) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8)));
  const uint32_t experts[] = {1, 4, 6};
  auto pins = cache_->Demand(0, experts);
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  const uint64_t read = cache_->bytes_read();
  EXPECT_GE(read, 3 * 77'008u);
  pins = cache_->Demand(0, experts);
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  EXPECT_EQ(cache_->bytes_read(), read);
  EXPECT_EQ(cache_->ready_bytes(), 3 * layers_[0].SlotBytes());
}

TEST_F(ExpertCacheTest, GivesUpTheColdestThatIsNotPinned) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(3)));
  ASSERT_EQ(cache_->slots(0), 3u);
  for (const uint32_t expert : {0, 1, 2}) {
    cache_->Touch(0, expert, expert == 1 ? 0.5 : 2.0 + expert);
    auto pins = cache_->Demand(0, {{expert}});
    ASSERT_TRUE(pins.ok());
    ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  }
  ASSERT_TRUE(cache_->Demand(1, {{7u}}).ok());
  EXPECT_FALSE(cache_->Holds(0, 1));
  EXPECT_TRUE(cache_->Holds(0, 0) && cache_->Holds(0, 2) && cache_->Holds(1, 7));
  cache_->Touch(1, 7, 9);
  auto pinned = cache_->Demand(0, {{0u}});  // the coldest now, but in use
  ASSERT_TRUE(pinned.ok());
  ASSERT_TRUE(cache_->Demand(1, {{6u}}).ok());
  EXPECT_TRUE(cache_->Holds(0, 0));
  EXPECT_FALSE(cache_->Holds(0, 2));
}

TEST_F(ExpertCacheTest, MoreThanThereAreSlotsIsRefusedAndChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(3)));
  auto held = cache_->Demand(0, {{0u, 1u}});
  ASSERT_TRUE(held.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*held, 0));
  const auto refused = cache_->Demand(1, {{3u, 4u}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kOutOfBudget);
  EXPECT_FALSE(cache_->Holds(1, 3) || cache_->Holds(1, 4));
  held->Release();
  auto pins = cache_->Demand(1, {{3u, 4u}});
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 1));
}

TEST_F(ExpertCacheTest, AFailedReadIsAnErrorAndNeverUsed) {
  // Slice 1 of expert 2 in layer 0, three times: as often as one read is tried.
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(5), "range=364544-385024,times=3,errno=EIO"));
  std::optional<ExpertCache::Pins> pins;
  {
    auto demanded = cache_->Demand(0, {{2u, 5u}});
    ASSERT_TRUE(demanded.ok());
    const size_t both[] = {0, 1};
    Status status;
    for (int i = 0; i < 100 && status.ok(); ++i) status = demanded->WaitForAny(1, std::span(both).first(1));
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.message().find(file_->path()), std::string::npos) << status.message();
    EXPECT_EQ(demanded->data(0, 1), nullptr);
    EXPECT_GE(cache_->reads_failed(), 1u);
  }
  auto again = cache_->Demand(0, {{2u, 5u}});  // the disk has recovered
  ASSERT_TRUE(again.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*again, 0));
}

TEST_F(ExpertCacheTest, LateAndReorderedReadsArriveAll) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8), "short=4K,delay_us=100,reorder=1"));
  auto pins = cache_->Demand(1, {{0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}});
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 1));
}

TEST_F(ExpertCacheTest, AdoptsWhatPassesByIntoFreeSlotsOnly) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(3)));
  EXPECT_EQ(cache_->free_slots(0), 3u);
  auto present = cache_->Demand(0, {{0u}});
  ASSERT_TRUE(present.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*present, 0));
  {
    ExpertCache::Pins adopted = cache_->Adopt(0, {{0u, 3u, 4u, 5u}}, 9);
    ASSERT_EQ(adopted.size(), 2u);  // 0 is there already, and then the slots are taken
    EXPECT_EQ(adopted.expert(0), 3u);
    EXPECT_EQ(cache_->PinReady(0, {{3u}}).size(), 0u);
    for (size_t slice = 0; slice < 3; ++slice) {
      const ExpertSlices& source = layers_[0].slices[slice];
      std::vector<uint8_t> bytes(source.bytes);
      for (uint64_t b = 0; b < source.bytes; ++b) bytes[b] = static_cast<uint8_t>(ByteAt(source.offset + 3 * source.bytes + b));
      adopted.Fill(0, slice, 0, std::span(bytes).first(1000));
      adopted.Fill(0, slice, 1000, std::span(bytes).subspan(1000));
    }
  }
  ExpertCache::Pins ready = cache_->PinReady(0, {{3u, 4u}});
  ASSERT_EQ(ready.size(), 1u);  // 4 was not filled
  ASSERT_NO_FATAL_FAILURE(CheckAll(ready, 0));
  EXPECT_EQ(cache_->free_slots(0), 1u);
}

TEST_F(ExpertCacheTest, LayersOfOtherSizesHaveSlotsOfTheirOwn) {
  const uint64_t all = 16 * layers_[0].SlotBytes() + layers_[2].SlotBytes();
  ASSERT_NO_FATAL_FAILURE(Start(all));
  EXPECT_EQ(cache_->slots(0), 16u);
  EXPECT_EQ(cache_->slots(2), 1u);
  auto large = cache_->Demand(2, {{0u}});
  ASSERT_TRUE(large.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*large, 2));
  auto small = cache_->Demand(1, {{0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}});
  ASSERT_TRUE(small.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*small, 1));
  ASSERT_NO_FATAL_FAILURE(CheckAll(*large, 2));
}

TEST_F(ExpertCacheTest, EndsWhileReadsAreInFlight) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8), "delay_us=3000"));
  ASSERT_TRUE(cache_->Demand(0, {{0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}}).ok());
  cache_.reset();
}

}  // namespace
}  // namespace headrace
