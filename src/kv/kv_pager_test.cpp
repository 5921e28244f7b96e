#include "kv/kv_pager.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "base/size.h"
#include "io/io_test_util.h"
#include "kv/lose_half_test.h"

namespace headrace {
namespace {

// A cache of layers with two tensors each, beside a copy of what must be in it.
class Cache {
 public:
  Cache(const std::string& folder, size_t layers, uint64_t tensor_bytes)
      : file_(std::move(*KvFile::Create(folder, 2 * layers * tensor_bytes))),
        tensor_bytes_(tensor_bytes),
        expected_(file_.bytes()) {}

  const KvFile& file() const { return file_; }
  size_t layers() const { return expected_.size() / (2 * tensor_bytes_); }
  // The first `used_bytes` of each tensor.
  std::vector<KvLayer> Use(uint64_t used_bytes) const {
    std::vector<KvLayer> result(layers());
    for (size_t tensor = 0; tensor < 2 * layers(); ++tensor) {
      const uint64_t begin = tensor * tensor_bytes_;
      KvPart part{&file_, {begin, begin + tensor_bytes_}, {}};
      AddPages(part.pages, begin, begin + used_bytes);
      result[tensor / 2].push_back(std::move(part));
    }
    return result;
  }
  // The layer's used part is what was written, whereupon some of it is written anew.
  void CheckAndChange(size_t layer, uint64_t used_bytes, std::mt19937_64& random) {
    for (const size_t tensor : {2 * layer, 2 * layer + 1}) {
      const uint64_t begin = tensor * tensor_bytes_;
      ASSERT_EQ(std::memcmp(file_.data() + begin, expected_.data() + begin, used_bytes), 0) << "layer " << layer;
      for (int i = 0; i < 20; ++i) {
        const uint64_t at = begin + random() % used_bytes;
        expected_[at] = file_.data()[at] = static_cast<std::byte>(random());
      }
    }
  }

 private:
  KvFile file_;
  const uint64_t tensor_bytes_;
  std::vector<std::byte> expected_;
};

class KvPagerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Status usable = KvFile::CheckFolder(folder_);
    ASSERT_TRUE(usable.ok()) << usable.message();
  }
  static std::unique_ptr<KvPager> Start(uint64_t ram_bytes) { return std::move(*KvPager::Start(ram_bytes)); }

  // A whole pass. The most that was in memory of all `caches` is raised in most_.
  void Pass(KvPager& pager, Cache& cache, uint64_t used_bytes, const std::vector<const Cache*>& caches) {
    const auto paging = pager.Begin(cache.Use(used_bytes));
    ASSERT_TRUE(paging.ok()) << paging.status().message();
    for (size_t layer = 0; layer < cache.layers(); ++layer) {
      if (*paging) {
        ASSERT_TRUE(pager.Await(layer).ok());
        EXPECT_TRUE(pager.Loaded(layer));
      }
      cache.CheckAndChange(layer, used_bytes, random_);
      uint64_t cached = 0;
      for (const Cache* each : caches) cached += each->file().CachedBytes();
      most_ = std::max(most_, cached);
      if (*paging) pager.Release();
    }
    ASSERT_TRUE(pager.End().ok());
  }

  const TestDirectory directory_;
  const std::string folder_ = directory_ / "";
  std::mt19937_64 random_{1};
  uint64_t most_ = 0;
};

TEST_F(KvPagerTest, WhatFitsIsLeftAlone) {
  Cache cache(folder_, 4, kMiB);
  const auto pager = Start(8 * kMiB);
  const auto paging = pager->Begin(cache.Use(kMiB));
  ASSERT_TRUE(paging.ok());
  EXPECT_FALSE(*paging);
  EXPECT_TRUE(pager->End().ok());
  EXPECT_EQ(pager->bytes_read(), 0u);
}

TEST_F(KvPagerTest, FourTimesTheMemory) {
  constexpr uint64_t kRam = 4 * kMiB;
  Cache cache(folder_, 16, 512 * kKiB);
  const auto pager = Start(kRam);
  for (int pass = 0; pass < 6; ++pass) Pass(*pager, cache, 512 * kKiB, {&cache});
  EXPECT_LE(most_, kRam);
  EXPECT_GT(most_, kRam / 2) << "the memory is used";
  // In a steady state what stays is not read again.
  const uint64_t before = pager->bytes_read();
  for (int pass = 0; pass < 4; ++pass) Pass(*pager, cache, 512 * kKiB, {&cache});
  const uint64_t read = (pager->bytes_read() - before) / 4;
  EXPECT_LE(read, 14 * kMiB);
  EXPECT_GE(read, 12 * kMiB);
}

TEST_F(KvPagerTest, UsedPartsThatGrowAndShrink) {
  const uint64_t kRam = 6 * kMiB, kTensor = kMiB + 3 * PageBytes();
  Cache cache(folder_, 6, kTensor);
  const auto pager = Start(kRam);
  for (int pass = 0; pass < 40; ++pass) Pass(*pager, cache, 1 + random_() % kTensor, {&cache});
  EXPECT_LE(most_, kRam);
  EXPECT_GT(pager->bytes_read(), kRam);
}

TEST_F(KvPagerTest, SeveralCachesShareTheMemory) {
  constexpr uint64_t kRam = 3 * kMiB;
  Cache large(folder_, 8, 512 * kKiB), small(folder_, 4, 256 * kKiB);
  const auto pager = Start(kRam);
  for (int pass = 0; pass < 12; ++pass) {
    Cache& cache = pass % 3 == 0 ? small : large;
    Pass(*pager, cache, pass % 3 == 0 ? 256 * kKiB : 512 * kKiB, {&large, &small});
  }
  EXPECT_LE(most_, kRam);
  pager->Forget(&large.file());
  for (int pass = 0; pass < 3; ++pass) Pass(*pager, small, 256 * kKiB, {&small});
  EXPECT_FALSE(*pager->Begin(small.Use(256 * kKiB))) << "alone it fits";
  EXPECT_TRUE(pager->End().ok());
}

TEST_F(KvPagerTest, LessMemoryHoldsFromTheNextPassOn) {
  Cache cache(folder_, 16, 256 * kKiB);
  const auto pager = Start(7 * kMiB);
  for (int pass = 0; pass < 3; ++pass) Pass(*pager, cache, 256 * kKiB, {&cache});
  pager->SetRam(2 * kMiB);
  Pass(*pager, cache, 256 * kKiB, {&cache});
  most_ = 0;
  for (int pass = 0; pass < 3; ++pass) Pass(*pager, cache, 256 * kKiB, {&cache});
  EXPECT_LE(most_, 2 * kMiB);
}

// As when the host gives a pass up.
TEST_F(KvPagerTest, PassesThatEndEarly) {
  Cache cache(folder_, 8, 512 * kKiB);
  const auto pager = Start(2 * kMiB);
  for (size_t layers = 0; layers < 8; ++layers) {
    ASSERT_TRUE(*pager->Begin(cache.Use(512 * kKiB)));
    for (size_t layer = 0; layer < layers; ++layer) {
      ASSERT_TRUE(pager->Await(layer).ok());
      cache.CheckAndChange(layer, 512 * kKiB, random_);
      if (layer + 1 < layers) pager->Release();
    }
    ASSERT_TRUE(pager->End().ok());
    Pass(*pager, cache, 512 * kKiB, {&cache});
  }
}

TEST_F(KvPagerTest, WhatCannotBeReadFailsThePassAndThoseAfterIt) {
  Cache cache(folder_, 8, 512 * kKiB),
      other(folder_, 8, 512 * kKiB);  // they outlive the pager, which may still write after a pass
  const auto pager = Start(2 * kMiB);
  for (int pass = 0; pass < 2; ++pass) Pass(*pager, cache, 512 * kKiB, {&cache});
  for (size_t tensor = 0; tensor < 16; ++tensor)
    ASSERT_TRUE(cache.file().Evict({tensor * 512 * kKiB, (tensor + 1) * 512 * kKiB}).ok());
  ASSERT_TRUE(LoseHalf(cache.file()));
  Status failure;
  if (const auto paging = pager->Begin(cache.Use(512 * kKiB)); paging.ok()) {
    for (size_t layer = 0; failure.ok() && layer < 8; ++layer) {
      failure = pager->Await(layer);
      if (failure.ok()) pager->Release();
    }
    EXPECT_FALSE(pager->End().ok());
  } else {
    failure = paging.status();  // noticed by what was read ahead
  }
  EXPECT_EQ(failure.code(), Code::kIo);
  EXPECT_EQ(pager->Begin(cache.Use(512 * kKiB)).status().code(), Code::kIo);
  pager->Forget(&cache.file());
  Pass(*pager, other, 512 * kKiB, {&other});
}

}  // namespace
}  // namespace headrace
