// The made-up choices have the popularity and the locality that they were calibrated to, and what the policies make of
// them.
#include "routing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "replay.h"

namespace headrace {
namespace {

Routing OfKind(const std::string& name, uint32_t layers, uint32_t tokens) {
  const auto& kinds = RoutingKinds();
  Routing routing =
      std::find_if(kinds.begin(), kinds.end(), [&](const RoutingKind& kind) { return kind.name == name; })->routing;
  routing.layers = layers;
  routing.tokens = tokens;
  return routing;
}

// Share of the choices that fall on the `count` most popular experts of each layer.
double PopularShare(const std::vector<RouterStep>& trace, const Routing& routing, size_t count) {
  std::vector<std::vector<uint64_t>> uses(routing.layers, std::vector<uint64_t>(routing.experts));
  for (const RouterStep& step : trace) {
    for (const uint32_t expert : step.experts) ++uses[step.layer][expert];
  }
  uint64_t popular = 0, all = 0;
  for (auto& layer : uses) {
    std::sort(layer.rbegin(), layer.rend());
    for (size_t i = 0; i < layer.size(); ++i) {
      all += layer[i];
      popular += i < count ? layer[i] : 0;
    }
  }
  return static_cast<double>(popular) / static_cast<double>(all);
}

double Rate(const std::vector<RouterStep>& trace, double share, ReplayPolicy policy, double half_life = 0) {
  uint64_t experts = 0, layers = 0;
  for (const RouterStep& step : trace) {
    layers = std::max<uint64_t>(layers, step.layer + 1);
    for (const uint32_t expert : step.experts) experts = std::max<uint64_t>(experts, expert + 1);
  }
  const uint64_t passes = CountPasses(trace);
  return Replay(trace, static_cast<uint64_t>(share * static_cast<double>(layers * experts)), policy, half_life,
                passes * 2 / 3)
      .rate();
}

TEST(Routing, OfNamedKindsHasThePublishedNumbers) {
  const Routing popular = OfKind("popular", 16, 500), few = OfKind("few", 16, 500);
  EXPECT_NEAR(PopularShare(Route(popular), popular, 128 / 5), 0.79, 0.02);
  EXPECT_NEAR(PopularShare(Route(few), few, 13), 0.80, 0.025);

  const Routing drifting = OfKind("drifting", 1, 8000);
  const auto trace = Route(drifting);
  EXPECT_NEAR(PopularShare(trace, drifting, 32), 0.10, 0.015);
  EXPECT_NEAR(Replay(trace, 64, ReplayPolicy::kLru).rate(), 0.67, 0.015);
  EXPECT_NEAR(Replay(trace, 128, ReplayPolicy::kLru).rate(), 0.81, 0.015);
}

TEST(Routing, IsThatOfItsSeed) {
  Routing routing = OfKind("popular", 2, 50);
  EXPECT_EQ(Route(routing), Route(routing));
  const auto first = Route(routing);
  routing.seed = 2;
  EXPECT_NE(Route(routing), first);
}

// Each fixed memory loses on some kind of choices; the mixture is near the best of them on all.
TEST(HeatMixture, IsNearTheBestMemoryOnEveryKind) {
  for (const RoutingKind& kind : RoutingKinds()) {
    const auto trace = Route(OfKind(kind.name, 3, 700));
    for (const double share : {0.1, 0.25, 0.5}) {
      const double mixture = Rate(trace, share, ReplayPolicy::kMixture);
      double best = Rate(trace, share, ReplayPolicy::kLru);
      for (const double half_life : {4, 16, 64, 128})
        best = std::max(best, Rate(trace, share, ReplayPolicy::kHeat, half_life));
      EXPECT_GT(mixture, best - 0.02) << kind.name << " " << share;
      EXPECT_LE(mixture, Rate(trace, share, ReplayPolicy::kOptimum)) << kind.name << " " << share;
    }
  }
}

}  // namespace
}  // namespace headrace
