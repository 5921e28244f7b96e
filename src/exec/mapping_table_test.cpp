#include "exec/mapping_table.h"

#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/size.h"

namespace headrace {
namespace {

const void* At(uint64_t address) { return reinterpret_cast<const void*>(address); }

TEST(MappingTable, FindsWithinOneMapping) {
  MappingTable table;
  table.Add(At(1000), 100, {nullptr, 5000, 3});
  const auto origin = table.Find(At(1010), 90);
  ASSERT_TRUE(origin.has_value());
  EXPECT_EQ(origin->offset, 5010u);
  EXPECT_EQ(origin->model, 3u);
  EXPECT_FALSE(table.Find(At(1010), 91).has_value());
  EXPECT_FALSE(table.Find(At(999), 1).has_value());
  EXPECT_FALSE(table.Find(At(1100), 1).has_value());
}

TEST(MappingTable, AHoleLeavesBothSides) {
  MappingTable table;
  table.Add(At(1000), 100, {nullptr, 0, 0});
  EXPECT_TRUE(table.Remove(At(1020), 30));
  EXPECT_FALSE(table.Remove(At(1020), 30));
  EXPECT_TRUE(table.Find(At(1000), 20).has_value());
  EXPECT_FALSE(table.Find(At(1000), 21).has_value());
  EXPECT_EQ(table.Find(At(1050), 50)->offset, 50u);
  EXPECT_TRUE(table.Overlaps(At(1010), 20));
  EXPECT_FALSE(table.Overlaps(At(1020), 30));
}

// Four pages, mapped as a model is, and what the kernel was told of each.
class MappingAdvice : public ::testing::Test {
 protected:
  const uint64_t kPage = PageBytes(), kBytes = 4 * kPage;
  void SetUp() override {
    const int fd = ::memfd_create("mapping_table_test", MFD_CLOEXEC);
    ASSERT_EQ(::ftruncate(fd, kBytes), 0);
    data_ = static_cast<char*>(::mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, fd, 0));
    ::close(fd);
    ASSERT_NE(static_cast<void*>(data_), MAP_FAILED);
    table_.Add(data_, kBytes, {nullptr, 0, 1});
  }
  void TearDown() override { ::munmap(data_, kBytes); }
  // "RRRR": the kernel reads ahead in no page; "nnnn": in all.
  std::string Advice() const {
    std::ifstream mappings("/proc/self/smaps");
    std::string advice(4, '?');
    uint64_t begin = 0, end = 0;
    for (std::string line; std::getline(mappings, line);) {
      unsigned long long from = 0, to = 0;
      char dash = 0;
      std::istringstream words(line);
      if (words >> std::hex >> from >> dash >> to && dash == '-') {
        begin = from;
        end = to;
      } else if (line.starts_with("VmFlags:")) {
        for (uint64_t i = 0; i < 4; ++i) {
          const uint64_t at = reinterpret_cast<uint64_t>(data_) + i * kPage;
          if (begin <= at && at < end) advice[i] = line.find(" rr") != std::string::npos ? 'R' : 'n';
        }
      }
    }
    return advice;
  }

  char* data_ = nullptr;
  MappingTable table_;
};

TEST_F(MappingAdvice, TheKernelDoesNotReadAheadInWhatStreams) {
  EXPECT_EQ(Advice(), "nnnn");
  table_.TakeFromKernel(data_, kBytes);
  EXPECT_EQ(Advice(), "RRRR");
  EXPECT_TRUE(table_.Streams(data_ + 5, 1));
  EXPECT_FALSE(table_.Streams(data_ + kBytes, 1));
}

TEST_F(MappingAdvice, ARangeIsLeftToTheKernel) {
  table_.TakeFromKernel(data_, kBytes);
  table_.LeaveToKernel(data_ + kPage + 100, kPage);  // parts of two pages
  EXPECT_EQ(Advice(), "RnnR");
  EXPECT_TRUE(table_.Find(data_, kBytes).has_value()) << "it is one mapping still";
  EXPECT_TRUE(table_.Streams(data_, kBytes));
  table_.LeaveToKernel(data_, 100 * kBytes);  // no more than is known
  EXPECT_EQ(Advice(), "nnnn");
  EXPECT_FALSE(table_.Streams(data_, kBytes));
}

TEST_F(MappingAdvice, WhatWasLeftToTheKernelStaysLeft) {
  table_.TakeFromKernel(data_, kBytes);
  table_.Remove(data_ + kPage, kPage);
  table_.LeaveToKernel(data_, kBytes);
  EXPECT_EQ(Advice(), "nRnn") << "what is not known is not touched";
  EXPECT_FALSE(table_.Streams(data_, kBytes));
  table_.TakeFromKernel(data_, kBytes);
  EXPECT_EQ(Advice(), "nRnn") << "what was left stays left";
  table_.Add(data_, kBytes, {nullptr, 0, 2});
  EXPECT_TRUE(table_.Streams(data_, kBytes)) << "another model at the same place";
}

TEST(MappingTable, TellsModelsApart) {
  MappingTable table;
  table.Add(At(1000), 100, {nullptr, 0, 1});
  table.Add(At(2000), 50, {nullptr, 0, 7});
  table.Add(At(3000), 25, {nullptr, 0, 7});
  EXPECT_EQ(table.models(), (std::set<uint32_t>{1, 7}));
  EXPECT_EQ(table.BytesOf(7), 75u);
  table.Remove(At(2000), 50);
  EXPECT_EQ(table.models(), (std::set<uint32_t>{1, 7}));
  table.Remove(At(3010), 5);
  EXPECT_EQ(table.BytesOf(7), 20u);
  table.Remove(At(3000), 25);
  EXPECT_EQ(table.models(), std::set<uint32_t>{1});
}

// Against the plainest model of itself: an array with one entry for each address.
TEST(MappingTable, AgreesWithANaiveModel) {
  constexpr uint64_t kBase = 4096, kSize = 200;
  struct Byte {
    int model = -1;
    uint64_t offset = 0;
    int added = 0;  // two neighbours are one mapping only if they came together
  };
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    MappingTable table;
    std::vector<Byte> naive(kSize);
    for (int step = 1; step < 40; ++step) {
      const uint64_t begin = random() % kSize, length = 1 + random() % (kSize - begin);
      if (random() % 2) {
        table.Add(At(kBase + begin), length, {nullptr, 7000 + begin, static_cast<uint32_t>(step)});
        for (uint64_t i = begin; i < begin + length; ++i) naive[i] = {step, 7000 + i, step};
      } else {
        table.Remove(At(kBase + begin), length);
        for (uint64_t i = begin; i < begin + length; ++i) naive[i] = {};
      }
      const uint64_t at = random() % kSize, bytes = 1 + random() % (kSize - at);
      bool one = true, any = false;
      for (uint64_t i = at; i < at + bytes; ++i) {
        one = one && naive[i].model >= 0 && naive[i].added == naive[at].added;
        any = any || naive[i].model >= 0;
      }
      const auto found = table.Find(At(kBase + at), bytes);
      if (one) {
        ASSERT_TRUE(found.has_value());
        ASSERT_EQ(found->offset, naive[at].offset);
      } else {
        ASSERT_FALSE(found.has_value());
      }
      ASSERT_EQ(table.Overlaps(At(kBase + at), bytes), any);
    }
  }
}

}  // namespace
}  // namespace headrace
