// What the tests of the experts' cache begin with: a file of experts, a cache over it, and looks at what it delivers.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/size.h"
#include "base/text_file_test.h"
#include "experts/expert_cache.h"
#include "io/faulty_reader.h"
#include "io/gate_reader_test.h"
#include "io/io_test_util.h"

namespace headrace {

// Has room or not, as it is told.
class SwitchedHeadroom final : public Headroom {
 public:
  SwitchedHeadroom() : Headroom(TextFiles({})) {}
  bool Has(uint64_t) override { return has; }
  std::atomic<bool> has{true};
};

// Two layers of eight experts with three slices each, not aligned to pages.
class ExpertCacheTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kFileBytes = 4 * kMiB + 100;
  // Reads ahead in flight.
  static constexpr size_t kAhead = ReadService::kMostInFlight[static_cast<size_t>(ReadKind::kForesight)];

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
  SwitchedHeadroom room_;  // this and the next outlive the cache
  std::unique_ptr<ReadService> reads_;
  std::unique_ptr<ExpertCache> cache_;
  GateReader* gate_ = nullptr;  // the cache's
};

}  // namespace headrace
