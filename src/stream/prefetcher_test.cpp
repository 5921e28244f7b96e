#include "stream/prefetcher.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/size.h"
#include "base/text_file_test.h"
#include "io/gate_reader_test.h"

namespace headrace {
namespace {

// A real file of random bytes in the working directory, removed at the end.
class PrefetcherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "prefetcher_test_XXXXXX";
    const Descriptor fd(::mkstemp(name));
    ASSERT_TRUE(fd.valid());
    path_ = name;
    content_.resize(6 * kMiB + 1234);
    std::mt19937_64 random(3);
    for (auto& byte : content_) byte = static_cast<uint8_t>(random());
    ASSERT_EQ(::write(fd.get(), content_.data(), content_.size()), static_cast<ssize_t>(content_.size()));
    auto file = SourceFile::Open(path_);
    ASSERT_TRUE(file.ok()) << file.status().message();
    file_ = std::make_unique<SourceFile>(std::move(*file));
  }
  void TearDown() override { ::unlink(path_.c_str()); }

  std::unique_ptr<Prefetcher> Start(uint64_t ring_bytes, Headroom* headroom = nullptr) {
    auto ring = Region::Reserve(ring_bytes);
    EXPECT_TRUE(ring.ok() && ring->Commit(0, ring_bytes).ok());
    EXPECT_TRUE(reads_.Start().ok());
    return std::make_unique<Prefetcher>(reads_, std::move(*ring), headroom);
  }

  Segment At(uint64_t offset, uint64_t bytes) const { return {file_.get(), offset, bytes}; }

  void Consume(Prefetcher& prefetcher, size_t number, const Segment& segment) {
    for (uint64_t step = segment.bytes / 3; step < segment.bytes; step += segment.bytes / 3 + 1) {
      const auto part = prefetcher.Await(number, step);
      ASSERT_TRUE(part.ok()) << part.status().message();
      ASSERT_GE(part->bytes, step);
      ASSERT_EQ(std::memcmp(part->data, &content_[segment.offset], step), 0);
    }
    const auto whole = prefetcher.Await(number, segment.bytes);
    ASSERT_TRUE(whole.ok());
    ASSERT_EQ(whole->bytes, segment.bytes);
    ASSERT_EQ(std::memcmp(whole->data, &content_[segment.offset], segment.bytes), 0);
    prefetcher.Release(number);
  }

  void ConsumeAll(Prefetcher& prefetcher, const std::vector<Segment>& pass) {
    for (size_t i = 0; i < pass.size(); ++i) Consume(prefetcher, i, pass[i]);
  }

  std::vector<Segment> Random(std::mt19937_64& random, uint64_t most) const {
    std::vector<Segment> pass(1 + random() % 12);
    for (auto& segment : pass) {
      segment = At(random() % (content_.size() - 1), 1 + random() % most);
      segment.bytes = std::min<uint64_t>(segment.bytes, content_.size() - segment.offset);
    }
    return pass;
  }

  std::string path_;
  std::vector<uint8_t> content_;
  std::unique_ptr<SourceFile> file_;
  ReadService reads_{[](unsigned depth) { return MakeReader(ReaderKind::kAuto, depth); }};
};

// Has room for that much.
class RoomFor final : public Headroom {
 public:
  explicit RoomFor(uint64_t bytes) : Headroom(TextFiles({})), bytes_(bytes) {}
  bool Has(uint64_t bytes) override {
    if (bytes > bytes_) return false;
    bytes_ -= bytes;
    return true;
  }

 private:
  uint64_t bytes_;
};

TEST_F(PrefetcherTest, WithoutHeadroomTheRingStaysSmall) {
  RoomFor room(kMiB);
  auto prefetcher = Start(4 * kMiB, &room);
  const std::vector<Segment> pass = {At(0, 600 * kKiB), At(kMiB, 600 * kKiB), At(2 * kMiB, 600 * kKiB),
                                     At(3 * kMiB, 600 * kKiB)};
  const uint8_t* first = nullptr;
  for (int i = 0; i < 3; ++i) {
    prefetcher->Announce(pass, pass);
    for (size_t k = 0; k < pass.size(); ++k) {
      const auto arrival = prefetcher->Await(k, pass[k].bytes);
      ASSERT_TRUE(arrival.ok());
      if (first == nullptr) first = arrival->data;
      EXPECT_EQ(arrival->data, first) << "no second place was used";
      Consume(*prefetcher, k, pass[k]);
    }
  }
}

TEST_F(PrefetcherTest, DeliversThePassesItWasPromised) {
  auto prefetcher = Start(3 * kMiB);
  std::mt19937_64 random(1);
  const auto pass = Random(random, 900 * kKiB);
  for (int i = 0; i < 20; ++i) {
    prefetcher->Announce(pass, pass);
    ConsumeAll(*prefetcher, pass);
  }
}

TEST_F(PrefetcherTest, ReadsAheadIntoTheNextPass) {
  auto prefetcher = Start(4 * kMiB);
  const std::vector<Segment> pass = {At(100, 300 * kKiB), At(kMiB, 300 * kKiB)};
  prefetcher->Announce(pass, pass);
  ConsumeAll(*prefetcher, pass);
  // Nobody consumes, and yet the ring fills with the next passes.
  const uint64_t pass_bytes = 2 * 304 * kKiB;
  for (int i = 0; i < 5000 && reads_.bytes_read() < 4 * pass_bytes; ++i) ::usleep(1000);
  EXPECT_GE(reads_.bytes_read(), 4 * pass_bytes);
  EXPECT_LE(reads_.bytes_read(), pass_bytes + 4 * kMiB);
}

TEST_F(PrefetcherTest, FollowsEveryChangeOfThePass) {
  auto prefetcher = Start(3 * kMiB);
  std::mt19937_64 random(5);
  for (int i = 0; i < 300; ++i) {
    const auto pass = Random(random, kMiB);
    const auto next = random() % 2 ? pass : Random(random, kMiB);
    prefetcher->Announce(pass, random() % 4 ? next : std::vector<Segment>{});
    const size_t consumed = random() % (pass.size() + 1);
    for (size_t k = 0; k < consumed; ++k) Consume(*prefetcher, k, pass[k]);
    if (random() % 5 == 0) prefetcher->Reset();
  }
}

TEST_F(PrefetcherTest, AMatchingPassIsNotReadAgain) {
  auto prefetcher = Start(4 * kMiB);
  const std::vector<Segment> pass = {At(0, 64 * kKiB), At(kMiB, 64 * kKiB)};
  prefetcher->Announce(pass, {});
  for (int i = 0; i < 5000 && reads_.bytes_read() < 128 * kKiB; ++i) ::usleep(1000);
  prefetcher->Announce(pass, {});
  ConsumeAll(*prefetcher, pass);
  EXPECT_EQ(reads_.bytes_read(), 128 * kKiB);
}

TEST_F(PrefetcherTest, TheRestOfAPassCanChangeAndWhatIsStillWantedStays) {
  auto prefetcher = Start(4 * kMiB);
  const auto at = [&](uint64_t i) { return At(i * 256 * kKiB, 256 * kKiB); };
  prefetcher->Announce({at(0), at(1), at(2), at(3), at(4)}, {});
  Consume(*prefetcher, 0, at(0));
  for (int i = 0; i < 5000 && reads_.bytes_read() < 5 * 256 * kKiB; ++i) ::usleep(1000);
  ASSERT_EQ(reads_.bytes_read(), 5 * 256 * kKiB);
  prefetcher->Announce({at(1), at(3), at(4), at(9), at(5)}, {});
  ConsumeAll(*prefetcher, {at(1), at(3), at(4), at(9), at(5)});
  EXPECT_EQ(reads_.bytes_read(), 7 * 256 * kKiB);
}

TEST_F(PrefetcherTest, WhatIsNotWantedAnyMoreKeepsItsPlaceUntilItsReadsHaveEnded) {
  GateReader* gate = nullptr;
  ReadService gated([&](unsigned depth) -> Result<std::unique_ptr<Reader>> {
    auto reader = MakeReader(ReaderKind::kAuto, depth);
    if (!reader.ok()) return reader;
    auto held = std::make_unique<GateReader>(std::move(*reader));
    gate = held.get();
    return std::unique_ptr<Reader>(std::move(held));
  });
  ASSERT_TRUE(gated.Start().ok());
  auto ring = Region::Reserve(kMiB);
  ASSERT_TRUE(ring.ok() && ring->Commit(0, kMiB).ok());
  Prefetcher prefetcher(gated, std::move(*ring));
  const auto at = [&](uint64_t i) { return At(i * 256 * kKiB, 256 * kKiB); };
  prefetcher.Announce({at(0), at(1), at(2), at(3)}, {});
  gate->Begun(4);
  // The ring is full of reads in flight that nobody wants: these come after them.
  prefetcher.Announce({at(5), at(6), at(7)}, {});
  gate->Open();
  ConsumeAll(prefetcher, {at(5), at(6), at(7)});
  EXPECT_EQ(gated.bytes_read(), 7 * 256 * kKiB);
}

TEST_F(PrefetcherTest, AReadErrorReachesTheConsumerAndResetRecovers) {
  auto prefetcher = Start(4 * kMiB);
  ASSERT_EQ(::truncate(path_.c_str(), 2 * kMiB), 0);
  const Segment good = At(0, kMiB), bad = At(3 * kMiB, kMiB);
  prefetcher->Announce({good, bad}, {good, bad});
  Consume(*prefetcher, 0, good);
  const auto failed = prefetcher->Await(1, 1);
  ASSERT_FALSE(failed.ok());
  EXPECT_NE(failed.status().message().find(path_), std::string::npos);
  EXPECT_GE(reads_.reads_failed(), 1u);
  prefetcher->Reset();
  prefetcher->Announce({good}, {});
  Consume(*prefetcher, 0, good);
}

TEST_F(PrefetcherTest, SegmentsAreAwaitedAndReleasedInAnyOrderByManyThreads) {
  auto prefetcher = Start(4 * kMiB);
  std::mt19937_64 random(9);
  for (int i = 0; i < 30; ++i) {
    const auto pass = Random(random, 500 * kKiB);
    prefetcher->Announce(pass, pass);
    std::atomic<size_t> next{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        for (size_t k = next++; k < pass.size(); k = next++) Consume(*prefetcher, k, pass[k]);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_F(PrefetcherTest, AnErrorReachesThoseWhoWaitForLaterSegments) {
  auto prefetcher = Start(2 * kMiB);
  ASSERT_EQ(::truncate(path_.c_str(), 2 * kMiB), 0);
  const Segment good = At(0, 600 * kKiB), bad = At(3 * kMiB, 600 * kKiB);
  // The fourth has no room until the first is released, which its reader never does after the error.
  prefetcher->Announce({bad, good, good, good}, {});
  std::thread later([&] { EXPECT_FALSE(prefetcher->Await(3, 1).ok()); });
  EXPECT_FALSE(prefetcher->Await(0, 1).ok());
  later.join();
  prefetcher->Reset();
  prefetcher->Announce({good}, {});
  std::thread waits([&] { EXPECT_EQ(prefetcher->Await(0, good.bytes + 1).status().code(), Code::kCancelled); });
  prefetcher->Cancel(Status(Code::kCancelled, "given up"));
  waits.join();
}

TEST_F(PrefetcherTest, AwaitingWhatWasNotAnnouncedIsAnErrorNotAHang) {
  auto prefetcher = Start(kMiB);
  EXPECT_EQ(prefetcher->Await(0, 1).status().code(), Code::kInternal);
}

}  // namespace
}  // namespace headrace
