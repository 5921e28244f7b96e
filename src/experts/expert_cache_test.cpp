#include "experts/expert_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <thread>

#include "base/size.h"
#include "base/text_file_test.h"
#include "io/faulty_reader.h"
#include "io/gate_reader_test.h"
#include "io/io_test_util.h"

namespace headrace {
namespace {

constexpr uint64_t kFileBytes = 4 * kMiB + 100;
// Reads ahead in flight.
constexpr size_t kAhead = ReadService::kMostInFlight[static_cast<size_t>(ReadKind::kForesight)];

// Has room or not, as it is told.
class Room final : public Headroom {
 public:
  Room() : Headroom(TextFiles({})) {}
  bool Has(uint64_t) override { return has; }
  std::atomic<bool> has{true};
};

// Two layers of eight experts with three slices each, not aligned to pages.
class ExpertCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(WriteTestFile(directory_ / "experts", kFileBytes));
    auto file = SourceFile::Open(directory_ / "experts");
    ASSERT_TRUE(file.ok()) << file.status().message();
    file_ = std::make_unique<SourceFile>(std::move(*file));
    const auto slices = [&](uint64_t offset, uint64_t bytes) { return ExpertSlices{file_.get(), offset, bytes}; };
    layers_ = {{{slices(64, 30'000), slices(300'064, 30'000), slices(600'064, 17'008)}, 8},
               {{slices(1'000'032, 30'000), slices(1'300'032, 30'000), slices(1'600'000, 17'008)}, 8}};
  }

  // Layers of so many experts of which a token chooses some, each expert of the layer's number of pages.
  void MakeLayers(const std::vector<uint64_t>& pages, uint32_t experts, uint32_t per_token) {
    layers_.clear();
    uint64_t offset = 0;
    for (const uint64_t expert_pages : pages) {
      layers_.push_back({{{file_.get(), offset, expert_pages * kReadAlignment}}, experts, per_token});
      offset += experts * expert_pages * kReadAlignment;
    }
    ASSERT_LE(offset, kFileBytes);
  }

  // Passes of one token that choose what `choose` says of each layer; hits of all but the first third.
  template <typename Choose>
  double HitRate(int tokens, const Choose& choose) {
    uint64_t chosen = 0, hits = 0;
    for (int token = 0; token < tokens; ++token) {
      cache_->BeginPass(1);
      for (uint32_t layer = 0; layer < layers_.size(); ++layer) {
        const std::vector<uint32_t> experts = choose(layer);
        for (const uint32_t expert : experts) {
          if (token < tokens / 3) continue;
          ++chosen;
          hits += cache_->Ready(layer, expert);
        }
        for (const uint32_t expert : experts) cache_->Touch(layer, expert, 1);
        const auto pins = cache_->Demand(layer, experts);
        EXPECT_TRUE(pins.ok()) << "layer " << layer << ": " << pins.status().message();
        if (!pins.ok()) return 0;
        CheckAll(*pins, layer);
      }
    }
    return static_cast<double>(hits) / static_cast<double>(chosen);
  }

  // With a gate the cache's reads return when it is opened.
  void Start(uint64_t arena_bytes, const std::string& faults = "", bool gated = false) {
    reads_ = std::make_unique<ReadService>([=, this](unsigned depth) { return OpenReader(depth, faults, gated); });
    ASSERT_TRUE(reads_->Start().ok());
    auto cache = ExpertCache::Start(*reads_, layers_, arena_bytes, &room_);
    ASSERT_TRUE(cache.ok()) << cache.status().message();
    cache_ = std::move(*cache);
  }

  Result<std::unique_ptr<Reader>> OpenReader(unsigned depth, const std::string& faults, bool gated) {
    auto reader = MakeReader(ReaderKind::kAuto, depth);
    if (!reader.ok()) return reader;
    if (!faults.empty()) {
      const auto spec = ParseFaultSpec(faults);
      if (!spec.ok()) return spec.status();
      *reader = MakeFaultyReader(std::move(*reader), *spec);
    }
    if (gated) {
      auto gate = std::make_unique<GateReader>(std::move(*reader));
      gate_ = gate.get();
      *reader = std::move(gate);
    }
    return reader;
  }

  // An arena with that many slots.
  uint64_t ArenaFor(uint64_t slots) const { return slots * layers_[0].SlotBytes() + layers_[0].SlotBytes() / 2; }

  // Waits for every slice of every pinned expert and compares its bytes.
  void CheckAll(const ExpertCache::Pins& pins, uint32_t layer) {
    for (size_t slice = 0; slice < layers_[layer].slices.size(); ++slice) {
      for (size_t i = 0; i < pins.size(); ++i) {
        const size_t waiting[] = {i};
        ASSERT_TRUE(pins.WaitForAny(slice, waiting).ok());
        ASSERT_NE(pins.data(i, slice), nullptr);
        const ExpertSlices& source = layers_[layer].slices[slice];
        ASSERT_EQ(FirstDifference(reinterpret_cast<const std::byte*>(pins.data(i, slice)),
                                  source.offset + pins.expert(i) * source.bytes, source.bytes),
                  -1)
            << "layer " << layer << ", expert " << pins.expert(i) << ", slice " << slice;
      }
    }
  }

  // Blocks until an expert that is being read ahead is in memory.
  void AwaitReady(const ExpertName& name) {
    while (!cache_->Ready(name.layer, name.expert)) std::this_thread::yield();
  }

  // Where the reads of {layer, expert, slice} begin.
  std::vector<uint64_t> Pages(const std::vector<std::array<uint32_t, 3>>& slices) const {
    std::vector<uint64_t> offsets;
    for (const auto& [layer, expert, slice] : slices) {
      const ExpertSlices& source = layers_[layer].slices[slice];
      offsets.push_back(AlignDown(source.offset + expert * source.bytes, kReadAlignment));
    }
    return offsets;
  }

  TestDirectory directory_;
  std::unique_ptr<SourceFile> file_;
  std::vector<ExpertLayout> layers_;
  Room room_;  // this and the next outlive the cache
  std::unique_ptr<ReadService> reads_;
  std::unique_ptr<ExpertCache> cache_;
  GateReader* gate_ = nullptr;  // the cache's
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
    EXPECT_GE(reads_->reads_failed(), 1u);
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

TEST_F(ExpertCacheTest, ReadsAheadIntoFreeSlotsOnly) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(4)));
  {
    auto present = cache_->Demand(0, {{0u}});
    ASSERT_TRUE(present.ok());
    ASSERT_NO_FATAL_FAILURE(CheckAll(*present, 0));
  }
  const ExpertName names[] = {{0, 0}, {0, 3}, {1, 3}, {0, 4}, {1, 5}};
  EXPECT_EQ(cache_->Prefetch(names), 3u);  // one is there already, and for the last there is no room
  EXPECT_TRUE(cache_->Holds(0, 0) && cache_->Holds(0, 3) && cache_->Holds(1, 3) && cache_->Holds(0, 4));
  EXPECT_FALSE(cache_->Holds(1, 5));
  AwaitReady(names[3]);
  const uint64_t read = cache_->bytes_read();
  auto pins = cache_->Demand(0, {{0u, 3u, 4u}});
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  EXPECT_EQ(cache_->bytes_read(), read);
  EXPECT_EQ(cache_->ready_bytes(), 4 * layers_[0].SlotBytes());
}

TEST_F(ExpertCacheTest, ReadsAheadInThePlaceOfColderExpertsWhenToldTo) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(3)));
  for (const uint32_t expert : {0, 1, 2}) {
    cache_->Touch(0, expert, expert + 1);
    auto pins = cache_->Demand(0, {{expert}});
    ASSERT_TRUE(pins.ok());
    ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  }
  auto pinned = cache_->Demand(0, {{0u}});  // the coldest, but in use
  ASSERT_TRUE(pinned.ok());
  cache_->Touch(1, 6, 9);
  const ExpertName names[] = {{1, 6}, {1, 7}};
  EXPECT_EQ(cache_->Prefetch(names), 0u);
  EXPECT_EQ(cache_->Prefetch(std::span(names).first(1), ExpertCache::Into::kColdestToo), 1u);
  EXPECT_TRUE(cache_->Holds(0, 0) && cache_->Holds(0, 2) && cache_->Holds(1, 6));
  EXPECT_FALSE(cache_->Holds(0, 1));
}

// All are colder than what the cache holds, but for one that is held and the coldest of all.
TEST_F(ExpertCacheTest, WhatIsReadAheadTogetherMakesNoRoomForEachOther) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(5)));
  for (const uint32_t expert : {0, 1, 2, 3, 4}) {
    cache_->Touch(0, expert, expert + 1);
    auto pins = cache_->Demand(0, {{expert}});
    ASSERT_TRUE(pins.ok());
    ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  }
  const ExpertName names[] = {{1, 5}, {1, 6}, {0, 0}, {1, 7}};
  EXPECT_EQ(cache_->Prefetch(names, ExpertCache::Into::kColdestToo), 3u);
  for (const ExpertName& name : names) EXPECT_TRUE(cache_->Holds(name.layer, name.expert)) << name.expert;
  EXPECT_TRUE(cache_->Holds(0, 4));
  for (const ExpertName& name : names) AwaitReady(name);
  const uint64_t read = cache_->bytes_read();
  auto pins = cache_->Demand(1, {{5u, 6u, 7u}});
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 1));
  EXPECT_EQ(cache_->bytes_read(), read);
  pins->Release();
  pins = cache_->Demand(1, {{0u, 1u, 2u, 3u, 4u}});  // nothing stays pinned
  ASSERT_TRUE(pins.ok());
}

// Each expert here has three slices of one read each.
TEST_F(ExpertCacheTest, WhatIsDemandedIsReadBeforeWhatIsReadAhead) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8), "", true));
  const ExpertName names[] = {{0, 0}, {0, 1}, {0, 2}, {0, 3}};
  EXPECT_EQ(cache_->Prefetch(names), 4u);
  gate_->Begun(2);
  auto later = cache_->Demand(1, {{5u, 6u}});
  auto ahead = cache_->Demand(0, {{0u, 3u}});  // of which two slices are being read
  ASSERT_TRUE(later.ok() && ahead.ok());
  EXPECT_EQ(gate_->Begun(2), Pages({{0, 0, 0}, {0, 0, 1}})) << "more at once than may be read ahead";
  gate_->Open();
  ASSERT_NO_FATAL_FAILURE(CheckAll(*later, 1));
  ASSERT_NO_FATAL_FAILURE(CheckAll(*ahead, 0));
  EXPECT_EQ(gate_->Begun(18), Pages({{0, 0, 0},
                                     {0, 0, 1},
                                     {1, 5, 0},
                                     {1, 6, 0},
                                     {1, 5, 1},
                                     {1, 6, 1},
                                     {1, 5, 2},
                                     {1, 6, 2},
                                     {0, 3, 0},
                                     {0, 3, 1},
                                     {0, 0, 2},
                                     {0, 3, 2},
                                     {0, 1, 0},
                                     {0, 1, 1},
                                     {0, 1, 2},
                                     {0, 2, 0},
                                     {0, 2, 1},
                                     {0, 2, 2}}));
}

TEST_F(ExpertCacheTest, WhatIsPinnedAsHeldIsReadFirstToo) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8), "", true));
  const ExpertName names[] = {{0, 0}, {0, 1}, {0, 2}};
  EXPECT_EQ(cache_->Prefetch(names), 3u);
  gate_->Begun(2);
  EXPECT_FALSE(cache_->Ready(0, 2));
  auto held = cache_->PinHeld(0, {{2u, 5u}});
  ASSERT_EQ(held.size(), 1u);
  gate_->Open();
  ASSERT_NO_FATAL_FAILURE(CheckAll(held, 0));
  EXPECT_TRUE(cache_->Ready(0, 2));
  const std::vector<uint64_t> first = Pages({{0, 0, 0}, {0, 0, 1}, {0, 2, 0}, {0, 2, 1}, {0, 2, 2}});
  auto begun = gate_->Begun(first.size());
  begun.resize(first.size());
  EXPECT_EQ(begun, first);
}

TEST_F(ExpertCacheTest, WhatWaitsToBeReadAheadMakesRoom) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(3), "", true));
  const ExpertName names[] = {{0, 0}, {0, 1}, {0, 2}};
  EXPECT_EQ(cache_->Prefetch(names), 3u);
  gate_->Begun(2);
  auto pins = cache_->Demand(1, {{5u, 6u}});  // the gate is closed: nothing has been read
  ASSERT_TRUE(pins.ok());
  EXPECT_TRUE(cache_->Holds(0, 0));
  EXPECT_FALSE(cache_->Holds(0, 1) || cache_->Holds(0, 2));
  gate_->Open();
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 1));
  pins->Release();
  pins = cache_->Demand(1, {{0u, 1u, 2u}});  // all slots, one of which may still be read into
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 1));
}

TEST_F(ExpertCacheTest, WhatIsNotBeingReadAheadYetCanBeDropped) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8), "", true));
  const ExpertName names[] = {{0, 0}, {0, 1}, {0, 2}};
  EXPECT_EQ(cache_->Prefetch(names), 3u);
  gate_->Begun(2);
  cache_->DropPrefetches();
  EXPECT_TRUE(cache_->Holds(0, 0));
  EXPECT_FALSE(cache_->Holds(0, 1) || cache_->Holds(0, 2));
  EXPECT_EQ(cache_->free_slots(0), 7u);
  gate_->Open();
  AwaitReady(names[0]);
}

// Slice 1 of expert 2 in layer 0 fails as often as one read is tried.
TEST_F(ExpertCacheTest, AFailedReadAheadIsForgotten) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(5), "range=364544-385024,times=3,errno=EIO"));
  const ExpertName names[] = {{0, 2}, {0, 7}};
  EXPECT_EQ(cache_->Prefetch(names), 2u);
  AwaitReady(names[1]);
  while (cache_->Holds(0, 2) || cache_->free_slots(0) != 4) std::this_thread::yield();
  EXPECT_EQ(reads_->reads_failed(), 1u);
  auto pins = cache_->Demand(0, {{2u, 7u}});
  ASSERT_TRUE(pins.ok());
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
}

TEST_F(ExpertCacheTest, AFailedReadAheadFailsNobodyWhoWaitsForIt) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(5), "range=364544-385024,times=3,errno=EIO", true));
  const ExpertName names[] = {{0, 2}};
  EXPECT_EQ(cache_->Prefetch(names), 1u);
  gate_->Begun(2);  // the second is the one that fails
  auto pins = cache_->Demand(0, {{2u}});
  ASSERT_TRUE(pins.ok());
  gate_->Open();
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  EXPECT_EQ(reads_->reads_failed(), 1u);
  EXPECT_EQ(gate_->Begun(4), Pages({{0, 2, 0}, {0, 2, 1}, {0, 2, 1}, {0, 2, 2}}));
}

TEST_F(ExpertCacheTest, ReadingAheadAndOnDemandAtRandomWithFaults) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(6), "after=30,times=400,errno=EIO"));
  std::mt19937 random(11);
  int failed = 0;
  for (int i = 0; i < 600; ++i) {
    const uint32_t layer = random() % 2, expert = random() % 8;
    cache_->BeginPass(1);
    cache_->Touch(layer, expert, 1);
    const ExpertName names[] = {
        {layer, (expert + 1) % 8}, {1 - layer, expert}, {0, static_cast<uint32_t>(random() % 8)}};
    cache_->Prefetch(names, random() % 3 == 0 ? ExpertCache::Into::kFreeSlots : ExpertCache::Into::kColdestToo);
    std::vector<uint32_t> experts = {expert, (expert + 3) % 8, (expert + 5) % 8};
    auto pins = random() % 8 == 0 ? cache_->PinHeld(layer, experts) : cache_->Demand(layer, experts);
    ASSERT_TRUE(pins.ok()) << pins.status().message();
    if (random() % 4 == 0) continue;
    for (size_t slice = 0; slice < 3; ++slice) {
      const size_t waiting[] = {pins->size() - 1};
      if (pins->size() > 0 && !pins->WaitForAny(slice, waiting).ok()) ++failed;
    }
    if (i > 500) {
      ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, layer));
    }
  }
  EXPECT_GT(failed, 0) << "no read on demand failed";
  EXPECT_LT(failed, 400);
}

// Beside a search of all that is held: whoever goes is the coldest, whatever came, was read ahead or forgotten before.
TEST_F(ExpertCacheTest, WhoeverGoesIsTheColdest) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(7)));
  std::mt19937 random(11);
  const auto held = [&] {
    std::vector<ExpertName> names;
    for (const uint32_t layer : {0u, 1u}) {
      for (uint32_t expert = 0; expert < 8; ++expert) {
        if (cache_->Holds(layer, expert)) names.push_back({layer, expert});
      }
    }
    return names;
  };
  int gone = 0;
  for (int i = 0; i < 2000; ++i) {
    if (random() % 3 == 0) cache_->BeginPass(1);
    const uint32_t layer = random() % 2, expert = std::min(random() % 8, random() % 8);
    cache_->Touch(layer, expert, 1);
    for (const ExpertName& name : held()) AwaitReady(name);
    const auto before = held();
    const bool ahead = random() % 3 == 0;
    const ExpertName name[] = {{layer, ahead ? (expert + 1) % 8 : expert}};
    if (ahead) {
      cache_->Prefetch(name, ExpertCache::Into::kColdestToo);
    } else {
      auto pins = cache_->Demand(layer, {{expert}});
      ASSERT_TRUE(pins.ok());
      ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, layer));
    }
    for (const ExpertName& victim : before) {
      if (cache_->Holds(victim.layer, victim.expert)) continue;
      ++gone;
      for (const ExpertName& other : before)
        ASSERT_LE(cache_->Heat(victim.layer, victim.expert), cache_->Heat(other.layer, other.expert)) << i;
    }
  }
  EXPECT_GT(gone, 300);
}

TEST_F(ExpertCacheTest, PopularityOutlivesHeatAndIsRecalled) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8)));
  cache_->Touch(1, 4, 100);
  cache_->BeginPass(1024);
  cache_->Touch(1, 5, 1);
  EXPECT_NEAR(cache_->Popularity(1, 4), 50, 1e-9);
  EXPECT_LT(cache_->Heat(1, 4), cache_->Heat(1, 5));
  cache_->Recall(0, 2, 64);
  EXPECT_NEAR(cache_->Popularity(0, 2), 64, 1e-9);
  EXPECT_NEAR(cache_->Heat(0, 2), 0.75 * 64 / 1477.8, 0.001)
      << "64 of the 1478 that an expert has which each token chooses, as far as memories count";
}

TEST_F(ExpertCacheTest, LayersOfOtherSizesHaveSlotsOfTheirOwn) {
  layers_.push_back({{{file_.get(), 2 * kMiB, 1'200 * 1024}, {file_.get(), 2 * kMiB + 1'200 * 1024, 4096}}, 1});
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

// One layer of eight has larger experts. A fifth of its bytes are three of its experts, and each token chooses four.
TEST_F(ExpertCacheTest, ASmallBudgetHasRoomForATokensExpertsOfEachSize) {
  ASSERT_NO_FATAL_FAILURE(MakeLayers({1, 1, 1, 3, 1, 1, 1, 1}, 16, 4));
  ASSERT_NO_FATAL_FAILURE(Start(160 * kReadAlignment / 5));
  EXPECT_GE(cache_->slots(3), 4u);
  EXPECT_GE(cache_->slots(0), 4u);
  std::mt19937 random(5);
  HitRate(30, [&](uint32_t) {
    const uint32_t first = random() % 16;
    return std::vector<uint32_t>{first, (first + 3) % 16, (first + 7) % 16, (first + 8) % 16};
  });
  cache_->BeginPass(2, 2);  // two tokens together
  EXPECT_EQ(cache_->slots(3), 8u);
  EXPECT_EQ(cache_->slots(0), 8u);
}

// The layers of large experts need two of theirs, those of small ones all.
TEST_F(ExpertCacheTest, MemoryMovesToTheSizeThatNeedsIt) {
  std::mt19937 random(6);
  const auto choose = [&](uint32_t layer) {
    const uint32_t first = random() % 32;
    return layer < 2 ? std::vector<uint32_t>{0, 1} : std::vector<uint32_t>{first, (first + 5) % 32};
  };
  const auto measure = [&](const std::vector<uint64_t>& pages) {
    cache_.reset();
    MakeLayers(pages, 32, 2);
    Start(32 * 12 * kReadAlignment / 2);
    return HitRate(300, choose);
  };
  const double uniform = measure({2, 2, 2, 2, 2, 2});
  const double mixed = measure({4, 4, 1, 1, 1, 1});
  EXPECT_GE(mixed, uniform - 0.02);
  EXPECT_GT(mixed, 0.93);
  EXPECT_GE(cache_->slots(2), 112u) << "of 128; half of them where memory is divided by bytes";
}

// Turns of 100 tokens in which the large experts, or the small ones, are used evenly and the others hardly. What is
// read ahead is in flight while memory moves.
TEST_F(ExpertCacheTest, BytesStayRightWhileMemoryMoves) {
  ASSERT_NO_FATAL_FAILURE(MakeLayers({1, 4, 1, 3, 1, 2}, 32, 2));
  uint64_t arena = 32 * 12 * kReadAlignment / 3;
  ASSERT_NO_FATAL_FAILURE(Start(arena));
  std::mt19937 random(9);
  int moves = 0;
  for (int token = 0; token < 500; ++token) {
    const uint32_t before = cache_->slots(0);
    cache_->BeginPass(1);
    moves += cache_->slots(0) != before;
    if (token % 83 == 82) {
      arena = (100 + random() % 200) * kReadAlignment;
      ASSERT_TRUE(cache_->Resize(arena).ok());
    }
    uint64_t bytes = 0;
    for (const uint32_t layer : {0u, 1u, 3u, 5u}) bytes += cache_->slots(layer) * layers_[layer].SlotBytes();
    ASSERT_LE(bytes, arena);
    for (uint32_t layer = 0; layer < layers_.size(); ++layer) {
      const bool even = (token / 100 + layer) % 2 == 0;
      const uint32_t first = even ? random() % 31 : 0;
      const std::vector<uint32_t> experts = {first, first + 1};
      for (const uint32_t expert : experts) cache_->Touch(layer, expert, 1);
      const auto pins = cache_->Demand(layer, experts);
      ASSERT_TRUE(pins.ok()) << pins.status().message();
      const ExpertName ahead[] = {{(layer + 1) % 6, static_cast<uint32_t>(random() % 32)},
                                  {(layer + 2) % 6, static_cast<uint32_t>(random() % 32)}};
      cache_->Prefetch(ahead, ExpertCache::Into::kColdestToo);
      ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, layer));
    }
    ASSERT_LE(cache_->ready_bytes(), arena);
  }
  EXPECT_GT(moves, 3);
}

// Files of equal size whose layers choose alike: in one all experts are equally large, in the other they are of three
// sizes.
TEST_F(ExpertCacheTest, HitsAsWithAUniformFile) {
  for (const double share : {0.15, 0.3, 0.6}) {
    const auto measure = [&](const std::vector<uint64_t>& pages) {
      std::mt19937 random(8);
      cache_.reset();
      MakeLayers(pages, 32, 3);
      Start(static_cast<uint64_t>(share * 32 * 12 * kReadAlignment));
      return HitRate(200, [&](uint32_t layer) {
        const auto one = [&] { return (std::min({random() % 32, random() % 32, random() % 32}) * 5 + layer) % 32; };
        std::vector<uint32_t> experts = {static_cast<uint32_t>(one())};
        while (experts.size() < 3) {
          const auto expert = static_cast<uint32_t>(one());
          if (std::find(experts.begin(), experts.end(), expert) == experts.end()) experts.push_back(expert);
        }
        return experts;
      });
    };
    const double uniform = measure({2, 2, 2, 2, 2, 2}), mixed = measure({1, 4, 1, 3, 1, 2});
    EXPECT_GE(mixed, uniform - 0.03) << share;
    EXPECT_GT(uniform, share);
  }
}

TEST_F(ExpertCacheTest, EndsWhileReadsAreInFlight) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8), "delay_us=3000"));
  ASSERT_TRUE(cache_->Demand(0, {{0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}}).ok());
  cache_.reset();
}

TEST_F(ExpertCacheTest, EndsWhileMuchIsToBeReadAhead) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(8), "delay_us=3000"));
  const ExpertName names[] = {{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}};
  EXPECT_EQ(cache_->Prefetch(names), 6u);
  cache_.reset();
}

// Sixteen experts of layers 0 and 1 with heat in the order of their names; `hot` slots remain.
TEST_F(ExpertCacheTest, ShrinkingKeepsTheHottestAndGrowingKeepsAll) {
  Start(ArenaFor(16));
  const std::vector<uint32_t> all = {0, 1, 2, 3, 4, 5, 6, 7};
  cache_->BeginPass(1);
  for (const uint32_t layer : {0u, 1u}) {
    // Hot ones are spread over all slots.
    for (const uint32_t expert : all) cache_->Touch(layer, expert, 1 + (expert * 5 + layer * 3) % 8);
    auto pins = cache_->Demand(layer, all);
    ASSERT_TRUE(pins.ok());
    CheckAll(*pins, layer);
  }
  ASSERT_EQ(cache_->slots(0), 16u);
  const uint64_t read = cache_->bytes_read();
  std::vector<ExpertName> names;
  for (const uint32_t layer : {0u, 1u}) {
    for (const uint32_t expert : all) names.push_back({layer, expert});
  }
  std::stable_sort(names.begin(), names.end(), [&](const ExpertName& a, const ExpertName& b) {
    return cache_->Heat(a.layer, a.expert) > cache_->Heat(b.layer, b.expert);
  });
  for (const uint32_t slots : {6u, 16u}) {
    ASSERT_TRUE(cache_->Resize(ArenaFor(slots)).ok());
    EXPECT_EQ(cache_->slots(0), slots);
    EXPECT_EQ(cache_->ready_bytes(), 6 * layers_[0].SlotBytes());
    for (size_t i = 0; i < names.size(); ++i) {
      EXPECT_EQ(cache_->Ready(names[i].layer, names[i].expert), i < 6) << i << " of " << slots;
      if (i >= 6) continue;
      auto pins = cache_->Demand(names[i].layer, std::span(&names[i].expert, 1));
      ASSERT_TRUE(pins.ok());
      CheckAll(*pins, names[i].layer);
    }
  }
  EXPECT_EQ(cache_->bytes_read(), read) << "what stayed was not read again";
  auto pins = cache_->Demand(0, all);
  ASSERT_TRUE(pins.ok());
  CheckAll(*pins, 0);
}

TEST_F(ExpertCacheTest, ShrinkingWaitsForReadsAndForgetsThem) {
  Start(ArenaFor(16), "", true);
  std::vector<ExpertName> names;
  for (const uint32_t expert : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}) names.push_back({0, expert});
  ASSERT_EQ(cache_->Prefetch(names), 8u);
  gate_->Begun(kAhead);
  std::thread opener([this] { gate_->Open(); });
  ASSERT_TRUE(cache_->Resize(ArenaFor(2)).ok());
  opener.join();
  EXPECT_EQ(cache_->slots(0), 2u);
  const std::vector<uint32_t> two = {7, 3};
  auto pins = cache_->Demand(0, two);
  ASSERT_TRUE(pins.ok());
  CheckAll(*pins, 0);
  EXPECT_EQ(cache_->ready_bytes(), 2 * layers_[0].SlotBytes());
}

TEST_F(ExpertCacheTest, WithoutHeadroomOnlySlotsThatWereUsedAreUsed) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(4)));
  for (const uint32_t expert : {0u, 1u}) {
    cache_->Touch(0, expert, 2 - expert);
    auto pins = cache_->Demand(0, {{expert}});
    ASSERT_TRUE(pins.ok());
    ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  }
  room_.has = false;
  const ExpertName ahead[] = {{0, 5}};
  cache_->Prefetch(ahead);
  {
    auto pins = cache_->Demand(0, {{2u}});
    ASSERT_TRUE(pins.ok());
    ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
  }
  EXPECT_TRUE(cache_->Holds(0, 0) && cache_->Holds(0, 2));
  EXPECT_FALSE(cache_->Holds(0, 1)) << "the coldest made room";
  const auto refused = cache_->Demand(0, {{0u, 2u, 3u}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kOutOfBudget);
  room_.has = true;
  auto pins = cache_->Demand(0, {{0u, 2u, 3u}});
  ASSERT_TRUE(pins.ok()) << pins.status().message();
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
}

TEST_F(ExpertCacheTest, ReadingAheadStopsWhereHeadroomEnds) {
  ASSERT_NO_FATAL_FAILURE(Start(ArenaFor(4), "", true));
  const ExpertName names[] = {{0, 0}, {0, 1}, {0, 2}};
  ASSERT_EQ(cache_->Prefetch(names), 3u);
  gate_->Begun(kAhead);
  room_.has = false;
  gate_->Open();
  // No slot's memory was used as a whole yet: who needs the expert now must get it another way, or wait.
  const auto refused = cache_->Demand(0, {{2u}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kOutOfBudget);
  room_.has = true;
  auto pins = cache_->Demand(0, {{2u}});
  ASSERT_TRUE(pins.ok()) << pins.status().message();
  ASSERT_NO_FATAL_FAILURE(CheckAll(*pins, 0));
}

}  // namespace
}  // namespace headrace
