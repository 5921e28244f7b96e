#include "serve/models/load_history.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

TEST(LoadHistory, CountsLoadsAndFailures) {
  LoadHistory history;
  EXPECT_EQ(history.LastSeconds("a"), std::nullopt);
  history.Loaded("a", 2, true);
  history.Loaded("a", 2, false);  // it was there
  history.Failed("a", Status(Code::kIo, "gone"));
  history.Evicted("a");
  const LoadSums& sums = history.sums().at("a");
  EXPECT_EQ(sums.loads, 1u);
  EXPECT_EQ(sums.failures, 1u);
  EXPECT_EQ(sums.evictions, 1u);
  EXPECT_EQ(sums.seconds, 2);
  EXPECT_EQ(history.LastSeconds("a"), 2);
  EXPECT_FALSE(history.sums().contains("b"));
}

TEST(LoadHistory, AnErrorStaysUntilTheNextLoad) {
  LoadHistory history;
  EXPECT_EQ(history.LastError("a"), "");
  history.Failed("a", Status(Code::kOutOfBudget, "too little"));
  EXPECT_EQ(history.LastError("a"), "too little");
  history.GaveUp("a", "crashed six times");
  EXPECT_EQ(history.LastError("a"), "crashed six times");
  EXPECT_EQ(history.sums().at("a").failures, 1u) << "the load itself had worked";
  history.Loaded("a", 1, false);
  EXPECT_EQ(history.LastError("a"), "");
}

}  // namespace
}  // namespace headrace::serve
