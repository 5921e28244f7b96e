// headrace-replay: how often experts would have been in memory, for cache sizes and policies.
#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "replay.h"

namespace {

using namespace headrace;

// What the routers' choices look like.
struct Choices {
  uint64_t passes = 0, layers = 0, experts = 0, chosen = 0;
  double popular = 0;  // share that falls on a layer's most popular fifth
  double again = 0;    // share that the token before had chosen too
};

Choices Describe(const std::vector<RouterStep>& trace) {
  std::map<std::pair<uint32_t, uint32_t>, uint64_t> uses;
  std::map<uint32_t, std::set<uint32_t>> before;
  Choices choices;
  uint64_t again = 0;
  for (const RouterStep& step : trace) {
    choices.layers = std::max<uint64_t>(choices.layers, step.layer + 1);
    for (const uint32_t expert : step.experts) {
      ++uses[{step.layer, expert}];
      ++choices.chosen;
      choices.experts = std::max<uint64_t>(choices.experts, expert + 1);
      again += before[step.layer].count(expert);
    }
    before[step.layer] = {step.experts.begin(), step.experts.end()};
  }
  std::map<uint32_t, std::vector<uint64_t>> counts;
  for (const auto& [key, count] : uses) counts[key.first].push_back(count);
  uint64_t popular = 0;
  for (auto& [layer, of_layer] : counts) {
    std::sort(of_layer.rbegin(), of_layer.rend());
    of_layer.resize(std::max<size_t>(1, choices.experts / 5), 0);
    for (const uint64_t count : of_layer) popular += count;
  }
  choices.passes = CountPasses(trace);
  choices.popular = static_cast<double>(popular) / static_cast<double>(choices.chosen);
  choices.again = static_cast<double>(again) / static_cast<double>(choices.chosen);
  return choices;
}

nlohmann::json ToJson(const Choices& choices) {
  return {{"passes", choices.passes}, {"layers", choices.layers},         {"experts", choices.experts},
          {"chosen", choices.chosen}, {"popular_share", choices.popular}, {"again_share", choices.again}};
}

// One cache size under one policy.
struct Row {
  double share = 0;
  uint64_t slots = 0;
  const char* policy = "";
  double half_life = 0;
  ReplayResult result;
  double of_optimum = 0;
};

nlohmann::json ToJson(const Row& row) {
  return {{"share", row.share},           {"slots", row.slots},          {"policy", row.policy},
          {"half_life", row.half_life},   {"chosen", row.result.chosen}, {"hits", row.result.hits},
          {"of_optimum", row.of_optimum}, {"read", row.result.reads()},  {"wrong", row.result.wrong}};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Replays the experts that a run chose through caches of other sizes and policies. Writes CSV.\n"};
  app.footer(
      "Examples:\n"
      "  HEADRACE_TRACE=trace headrace run model.gguf -p 'Once'; headrace-replay trace\n"
      "  headrace-replay --share 0.25 --half-life 32 --half-life 512 trace\n"
      "  headrace-replay --share 0.25 --last 64 --json trace     # of a cache that the tokens before have filled\n"
      "  headrace-replay --foreseen foreseen --ahead 2 trace         # `read` and `wrong` count experts");
  std::string path;
  std::vector<double> shares = {0.1, 0.2, 0.3, 0.5, 0.7}, half_lives = {16, 64, 128, 256, 1024};
  app.add_option("TRACE", path, "written with HEADRACE_TRACE")->required();
  app.add_option("--share", shares, "of all experts that the cache holds; may be repeated")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--half-life", half_lives, "passes after which a use counts half; may be repeated")
      ->check(CLI::PositiveNumber);
  uint64_t last = UINT64_MAX;
  bool json = false;
  app.add_option("--last", last,
                 "count only so many passes at the end; those before fill the cache (default: all count)")
      ->check(CLI::PositiveNumber);
  std::string foreseen_path;
  ReplayForesight foresight;
  app.add_option(
      "--foreseen", foreseen_path,
      "a trace of what was foreseen of each step: it is read while the layer before computes (not for the optimum)");
  app.add_option("--ahead", foresight.most,
                 "read at most so many experts ahead for each layer, the likeliest (default: all)")
      ->needs("--foreseen");
  app.add_flag("--json", json, "one JSON object instead of CSV");
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
  std::vector<RouterStep> foreseen;
  if (!foreseen_path.empty()) {
    auto read = ReadRouterTrace(foreseen_path);
    if (!read.ok()) {
      fmt::print(stderr, "headrace-replay: {}\n", read.status().message());
      return 1;
    }
    foreseen = std::move(*read);
    if (!std::ranges::equal(*trace, foreseen, {}, &RouterStep::layer, &RouterStep::layer)) {
      fmt::print(stderr, "headrace-replay: {} does not have the steps of {}\n", foreseen_path, path);
      return 1;
    }
    foresight.steps = foreseen;
  }
  const Choices choices = Describe(*trace);
  std::vector<Row> rows;
  for (const double share : shares) {
    const auto slots = static_cast<uint64_t>(share * static_cast<double>(choices.layers * choices.experts));
    const ReplayResult best = Replay(*trace, slots, ReplayPolicy::kOptimum, 0, last);
    const auto add = [&](const char* name, ReplayPolicy policy, double half_life) {
      const ReplayResult result = Replay(*trace, slots, policy, half_life, last, foresight);
      rows.push_back({share, slots, name, half_life, result, best.hits > 0 ? result.rate() / best.rate() : 0});
    };
    rows.push_back({share, slots, "optimum", 0, best, 1});
    add("lru", ReplayPolicy::kLru, 0);
    add("mixture", ReplayPolicy::kMixture, 0);
    for (const double half_life : half_lives) add("heat", ReplayPolicy::kHeat, half_life);
  }
  if (json) {
    nlohmann::json out = ToJson(choices);
    for (const Row& row : rows) out["caches"].push_back(ToJson(row));
    fmt::print("{}\n", out.dump());
    return 0;
  }
  fmt::print(
      "# {} passes, {} layers, {} experts, {} choices; {:.0f} % fall on a layer's most popular fifth, {:.0f} % are "
      "those of the token before\n",
      choices.passes, choices.layers, choices.experts, choices.chosen, 100 * choices.popular, 100 * choices.again);
  fmt::print("share,slots,policy,half_life,hit_rate,of_optimum,read,wrong\n");
  for (const Row& row : rows) {
    fmt::print("{},{},{},{},{:.4f},{:.3f},{},{}\n", row.share, row.slots, row.policy, row.half_life, row.result.rate(),
               row.of_optimum, row.result.reads(), row.result.wrong);
  }
  return 0;
}
