// headrace-replay: how often experts would have been in memory, for cache sizes and policies.
#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "experts/replay.h"

namespace {

using namespace headrace;

// What the routers' choices look like.
void Describe(const std::vector<RouterStep>& trace) {
  std::map<std::pair<uint32_t, uint32_t>, uint64_t> uses;
  std::map<uint32_t, std::set<uint32_t>> before;
  uint64_t choices = 0, again = 0, passes = 0;
  uint32_t experts = 0;
  for (size_t i = 0; i < trace.size(); ++i) {
    const RouterStep& step = trace[i];
    if (i == 0 || step.layer <= trace[i - 1].layer) ++passes;
    for (const uint32_t expert : step.experts) {
      ++uses[{step.layer, expert}];
      ++choices;
      experts = std::max(experts, expert + 1);
      again += before[step.layer].count(expert);
    }
    before[step.layer] = {step.experts.begin(), step.experts.end()};
  }
  std::map<uint32_t, std::vector<uint64_t>> counts;
  for (const auto& [key, count] : uses) counts[key.first].push_back(count);
  uint64_t popular = 0;
  for (auto& [layer, of_layer] : counts) {
    std::sort(of_layer.rbegin(), of_layer.rend());
    of_layer.resize(std::max<size_t>(1, experts / 5), 0);
    for (const uint64_t count : of_layer) popular += count;
  }
  fmt::print("# {} passes, {} layers, {} experts, {} choices; {:.0f} % fall on a layer's most popular fifth, {:.0f} % are those of the token before\n",
             passes, counts.size(), experts, choices, 100.0 * static_cast<double>(popular) / static_cast<double>(choices),
             100.0 * static_cast<double>(again) / static_cast<double>(choices));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Replays the experts that a run chose through caches of other sizes and policies. Writes CSV.\n"};
  app.footer("Examples:\n"
             "  HEADRACE_TRACE=trace headrace run model.gguf -p 'Once'; headrace-replay trace\n"
             "  headrace-replay --share 0.25 --half-life 32 --half-life 512 trace");
  std::string path;
  std::vector<double> shares = {0.1, 0.2, 0.3, 0.5, 0.7}, half_lives = {16, 64, 128, 256, 1024};
  app.add_option("TRACE", path, "written with HEADRACE_TRACE")->required();
  app.add_option("--share", shares, "of all experts that the cache holds; may be repeated")->check(CLI::Range(0.0, 1.0));
  app.add_option("--half-life", half_lives, "passes after which a use counts half; may be repeated")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  const auto trace = ReadRouterTrace(path);
  if (!trace.ok()) {
    fmt::print(stderr, "headrace-replay: {}\n", trace.status().message());
    return 1;
  }
  if (trace->empty()) {
    fmt::print(stderr, "headrace-replay: {} has no choices: the run made no token with experts\n", path);
    return 1;
  }
  Describe(*trace);
  uint32_t layers = 0, experts = 0;
  for (const RouterStep& step : *trace) {
    layers = std::max(layers, step.layer + 1);
    for (const uint32_t expert : step.experts) experts = std::max(experts, expert + 1);
  }
  fmt::print("share,slots,policy,half_life,hit_rate,of_optimum\n");
  for (const double share : shares) {
    const auto slots = static_cast<uint64_t>(share * layers * experts);
    const double best = Replay(*trace, slots, ReplayPolicy::kOptimum).rate();
    const auto row = [&](const char* policy, double half_life, double rate) {
      fmt::print("{},{},{},{},{:.4f},{:.3f}\n", share, slots, policy, half_life, rate, best > 0 ? rate / best : 0);
    };
    row("optimum", 0, best);
    row("lru", 0, Replay(*trace, slots, ReplayPolicy::kLru).rate());
    for (const double half_life : half_lives) row("heat", half_life, Replay(*trace, slots, ReplayPolicy::kHeat, half_life).rate());
  }
  return 0;
}
