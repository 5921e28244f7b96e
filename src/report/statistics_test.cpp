#include "report/statistics.h"

#include <cstring>

#include <gtest/gtest.h>

#include "base/size.h"

namespace headrace::cli {
namespace {

Statistics Streamed() {
  Statistics s;
  s.state = Snapshot::kStreaming;
  s.kernels = Snapshot::kPlain;
  s.direct_io = true;
  s.budget_bytes = 2 * kGiB;
  s.weight_bytes = 4 * kGiB;
  s.resident_target_bytes = s.resident_bytes = kGiB;
  s.streamed_bytes_per_pass = 3 * kGiB;
  s.passes = 11;
  s.bytes_read = 40'000'000'000;
  s.pass_ns = 10'000'000'000;
  s.decode_passes = 10;
  s.decode_ns = 5'000'000'000;
  s.decode_bytes = 20'000'000'000;
  s.decode_wait_ns = 4'000'000'000;
  return s;
}

TEST(Summary, SaysResidentStreamedReadAndSpeed) {
  EXPECT_EQ(SummaryLines(Streamed()),
            (std::vector<std::string>{
                "1.00 GiB of 4.00 GiB weights resident, 3.00 GiB streamed per pass (budget 2.00 GiB)",
                "37.3 GiB read in 11 passes at 4.00 GB/s, plain kernels",
                "decode 2.00 tokens/s over 10 tokens, disk at 4.00 GB/s, 80 % of the time waiting for it"}));
}

TEST(Summary, ExpertsHaveALineOfTheirOwn) {
  Statistics s = Streamed();
  s.expert_bytes = 3 * kGiB;
  s.expert_cache_bytes = kGiB / 2;
  s.experts_chosen = 1000;
  s.expert_hits = 750;
  s.expert_bytes_read = 2 * kGiB;
  const std::vector<std::string> lines = SummaryLines(s);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0], "1.00 GiB of 1.00 GiB shared weights resident, 3.00 GiB streamed per pass (budget 2.00 GiB)");
  EXPECT_EQ(
      lines[1],
      "experts 3.00 GiB, 512 MiB for those in use: 75 % of 1000 choices were in memory, 2.00 GiB read for the others");
  s.experts_chosen = 0;
  EXPECT_EQ(SummaryLines(s)[1], "experts 3.00 GiB, 512 MiB for those in use");
}

TEST(Summary, RowsHaveALineOfTheirOwn) {
  Statistics s = Streamed();
  s.rows_looked_up = 400;
  s.row_hits = 300;
  s.row_bytes_read = 2 * kMiB;
  EXPECT_EQ(SummaryLines(s).size(), 3u) << "the mapping served them";
  s.row_memory_bytes = 4 * kMiB;
  ASSERT_EQ(SummaryLines(s).size(), 4u);
  EXPECT_EQ(SummaryLines(s)[1], "400 rows of tables looked up, 75 % were in 4.00 MiB for them, 2.00 MiB read");
}

TEST(Summary, ARunThatOthersDisturbedSaysSo) {
  Statistics s = Streamed();
  s.widths[0] = {10, 10, 4'000'000'000};
  s.draft_ns = 1'000'000'000;
  s.disturbed_ns = 500'000'000;
  EXPECT_EQ(SummaryLines(s).size(), 3u) << "a tenth is nothing";
  s.disturbed_ns = 1'000'000'000;
  ASSERT_EQ(SummaryLines(s).size(), 4u);
  EXPECT_NE(SummaryLines(s).back().find("for about 20 % of the time"), std::string::npos) << SummaryLines(s).back();
  s.disturbed_ns = 90'000'000'000;
  EXPECT_EQ(s.disturbed_share(), 1);
}

TEST(Summary, NothingStreamedAndNoDecode) {
  EXPECT_EQ(SummaryLines(Statistics()).size(), 1u);
  EXPECT_EQ(SummaryLines(Statistics(), true),
            std::vector<std::string>{"all layers are on devices: weights were read once, while they were loaded"});
  Statistics s = Streamed();
  s.decode_passes = 0;
  s.pass_ns = 0;  // no division by zero
  EXPECT_EQ(SummaryLines(s).back(), "0 % of the time waiting for the disk");
}

TEST(Progress, OnlyWhileLoading) {
  Statistics s = Streamed();
  EXPECT_EQ(ProgressText(s), "");
  s.state = Snapshot::kLoading;
  s.resident_bytes = kGiB / 2;
  EXPECT_EQ(ProgressText(s), "loading resident weights 512 MiB of 1.00 GiB");
}

TEST(ReadStatistics, CopiesCountersAndAnUnterminatedError) {
  auto snapshot = std::make_unique<Snapshot>();
  snapshot->weight_bytes = 5;
  snapshot->decode_ns = 7;
  std::memset(snapshot->last_error, 'x', sizeof snapshot->last_error);
  const Statistics s = ReadStatistics(*snapshot);
  EXPECT_EQ(s.weight_bytes, 5u);
  EXPECT_EQ(s.decode_ns, 7u);
  EXPECT_EQ(s.last_error.size(), sizeof snapshot->last_error);
}

}  // namespace
}  // namespace headrace::cli
