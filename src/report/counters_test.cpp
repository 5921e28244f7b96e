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
