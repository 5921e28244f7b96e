#include "serve/api/flash_statistics.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

TEST(FlashStatistics, RatesAreDifferences) {
  cli::Statistics before, after;
  after.bytes_read = 4'000'000'000;
  after.decode_passes = 10;
  after.decode_ns = 2'000'000'000;
  after.pass_ns = 2'000'000'000;
  after.wait_ns = 500'000'000;
  after.widths[WidthIndex(1)] = {3, 3, 100};
  after.widths[WidthIndex(4)] = {2, 8, 100};
  Json rates = FlashRatesJson(before, after, 2);
  EXPECT_EQ(rates["read_bytes_per_s"], 2e9);
  EXPECT_EQ(rates["decode_tokens_per_s"], 5);
  EXPECT_EQ(rates["wait_share"], 0.25);
  EXPECT_EQ(rates["busy_share"], 1);
  EXPECT_TRUE(rates["expert_hit_share"].is_null());
  EXPECT_EQ(rates["tokens_per_pass"], 2.2);
  rates = FlashRatesJson(after, after, 1);
  EXPECT_EQ(rates["read_bytes_per_s"], 0);
  EXPECT_TRUE(rates["decode_tokens_per_s"].is_null());
  // A process that started anew.
  cli::Statistics anew;
  anew.bytes_read = 100;
  EXPECT_EQ(FlashRatesJson(after, anew, 1)["read_bytes_per_s"], 100);
}

TEST(FlashStatistics, MetricsHaveOneFamilyEachAndEscapedNames) {
  cli::Statistics statistics;
  statistics.bytes_read = 7;
  const std::string text =
      RenderMetrics({{"a\"b\\c", true, 1, 5, 0, statistics}, {"off", true, 0, 2, 1, std::nullopt}});
  EXPECT_NE(
      text.find(
          "# TYPE headrace_flash_read_bytes_total counter\nheadrace_flash_read_bytes_total{model=\"a\\\"b\\\\c\"} 7\n"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("headrace_restarts_total{model=\"off\"} 1\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("read_bytes_total{model=\"off\"}"), std::string::npos) << text;
  EXPECT_EQ(RenderMetrics({}), "");
}

TEST(FlashStatistics, MetricsHaveALineForEachDrive) {
  cli::Statistics with, without;
  with.drives = {{0xfff0fff, 300, 2'000'000'000, 0}, {0xfff0ffe, 100, 500'000'000, 2}};  // no such devices
  const std::string text = RenderMetrics({{"a\"b", true, 0, 0, 0, with}, {"one", true, 0, 0, 0, without}});
  const auto expect = [&](const std::string& family, const char* type, uint64_t first, uint64_t second) {
    const auto line = [&](const auto& drive, uint64_t value) {
      return "headrace_" + family + "{model=\"a\\\"b\",drive=\"" + drive.Name() + "\"} " + std::to_string(value) + "\n";
    };
    const std::string block = "# TYPE headrace_" + family + " " + type + "\n" + line(with.drives[0], first) +
                              line(with.drives[1], second) + "# HELP";
    EXPECT_NE(text.find(block), std::string::npos) << block << "\nnot in\n" << text;
  };
  ASSERT_NE(with.drives[0].Name(), with.drives[1].Name());
  expect("flash_drive_read_bytes_total", "counter", 300, 100);
  expect("flash_drive_bytes_per_second", "gauge", 2'000'000'000, 500'000'000);
  expect("flash_drive_reads_failed_total", "counter", 0, 2);
  EXPECT_EQ(RenderMetrics({{"one", true, 0, 0, 0, without}}).find("flash_drive"), std::string::npos);
}

}  // namespace
}  // namespace headrace::serve
