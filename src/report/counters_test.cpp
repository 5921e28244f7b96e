#include "report/counters.h"

#include <fstream>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

TEST(Counters, EachIsReadFromItsOwnPlaceIntoItsOwn) {
  Snapshot snapshot;
  uint64_t next = 0;
  for (const Counter& counter : Counters()) (snapshot.*counter.source).store(++next);
  const Statistics statistics = ReadStatistics(snapshot);
  uint64_t expected = 0;
  for (const Counter& counter : Counters()) EXPECT_EQ(statistics.*counter.value, ++expected) << counter.name;
}

TEST(Counters, NamesAreUniqueAndSayTheirUnits) {
  std::set<std::string> names, metrics;
  for (const Counter& counter : Counters()) {
    const std::string metric = counter.metric, name = counter.name;
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_TRUE(metrics.insert(metric).second) << metric;
    EXPECT_EQ(metric.ends_with("_total"), counter.kind == Counter::kSum) << metric;
    EXPECT_EQ(metric.find("_seconds") != std::string::npos, counter.unit == Counter::kTime) << metric;
    EXPECT_EQ(metric.find("bytes") != std::string::npos, counter.unit == Counter::kBytes) << metric;
  }
}

TEST(Counters, JsonHasTimesInTheUnitThatIsAskedFor) {
  Statistics statistics;
  statistics.bytes_read = 7;
  statistics.wait_ns = 500'000'000;
  statistics.widths[WidthIndex(1)] = {3, 3, 100};
  statistics.widths[WidthIndex(4)] = {2, 8, 100};
  const Json seconds = CountersJson(statistics, TimesIn::kSeconds);
  EXPECT_EQ(seconds["bytes_read"], 7);
  EXPECT_EQ(seconds["wait_s"], 0.5);
  EXPECT_FALSE(seconds.contains("wait_ns"));
  EXPECT_TRUE(seconds["last_error"].is_null());
  EXPECT_EQ(seconds["widths"].dump(), R"([{"passes":3,"s":1e-07,"tokens":3},{"passes":2,"s":1e-07,"tokens":8}])");
  EXPECT_EQ(CountersJson(statistics, TimesIn::kNanoseconds)["wait_ns"], 500'000'000);
}

TEST(Counters, DrivesAreThoseThatAreThere) {
  Snapshot snapshot;
  EXPECT_EQ(CountersJson(ReadStatistics(snapshot), TimesIn::kSeconds)["drives"], Json::array());
  snapshot.drives[0].device = 0xfff0fff;  // no such device
  snapshot.drives[0].bytes_read = 300;
  snapshot.drives[0].bytes_per_s = 2'000'000'000;
  snapshot.drives[1].device = 5;
  snapshot.drives[1].bytes_read = 100;
  snapshot.drives[1].reads_failed = 2;
  const Statistics statistics = ReadStatistics(snapshot);
  const Json drives = CountersJson(statistics, TimesIn::kSeconds)["drives"];
  ASSERT_EQ(drives.size(), 2u);
  EXPECT_EQ(drives[0]["bytes_read"], 300);
  EXPECT_EQ(drives[1]["reads_failed"], 2);
  const auto lines = DriveLines(statistics);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], drives[0]["name"].get<std::string>() + ": 75 % of the bytes, 2.00 GB/s while it reads");
  EXPECT_TRUE(lines[1].ends_with(": 25 % of the bytes, 0.00 GB/s while it reads, 2 reads failed")) << lines[1];
}

TEST(Counters, TheDocumentationHasAllOfThem) {
  std::ifstream file(std::string(HEADRACE_SOURCE_DIR) + "/docs/telemetry.md");
  std::stringstream text;
  text << file.rdbuf();
  for (const Counter& counter : Counters()) {
    const std::string row = fmt::format("| `{}{}` | `{}` | {} |\n", counter.name,
                                        counter.unit == Counter::kTime ? "_s" : "", counter.metric, counter.help);
    EXPECT_NE(text.str().find(row), std::string::npos) << "docs/telemetry.md lacks the line\n" << row;
  }
}

}  // namespace
}  // namespace headrace::cli
