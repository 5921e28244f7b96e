// headrace-make-trace: routers' choices with a given skew and drift, for replaying policies (headrace-replay).
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "experts/router_trace.h"

namespace {

// Each expert's score is normal, the sum of a part that lasts as long as a topic, one that drifts and one that is
// new with each token. The highest scores are chosen.
struct Routing {
  uint32_t layers = 16, experts = 128, used = 8, tokens = 2000;
  double lasting = 0.55;     // shares of the variance
  double drifting = 0;
  double memory = 0.8;       // correlation of the drifting part from token to token
  uint32_t topic_tokens = 0;  // after which the lasting part is drawn anew; 0: never
  uint64_t seed = 1;
};

void Write(const Routing& routing, headrace::RouterTraceWriter& trace) {
  std::mt19937_64 random(routing.seed);
  std::normal_distribution<double> normal;
  const size_t scores = size_t{routing.layers} * routing.experts;
  std::vector<double> lasting(scores), drifting(scores), score(routing.experts);
  std::vector<uint32_t> order(routing.experts);
  const auto draw = [&](std::vector<double>& values) { std::generate(values.begin(), values.end(), [&] { return normal(random); }); };
  draw(lasting);
  draw(drifting);
  const double fresh = std::sqrt(std::max(0.0, 1 - routing.lasting - routing.drifting));
  for (uint32_t token = 0; token < routing.tokens; ++token) {
    if (routing.topic_tokens > 0 && token > 0 && token % routing.topic_tokens == 0) draw(lasting);
    for (uint32_t layer = 0; layer < routing.layers; ++layer) {
      for (uint32_t expert = 0; expert < routing.experts; ++expert) {
        const size_t at = size_t{layer} * routing.experts + expert;
        drifting[at] = routing.memory * drifting[at] + std::sqrt(1 - routing.memory * routing.memory) * normal(random);
        score[expert] = std::sqrt(routing.lasting) * lasting[at] + std::sqrt(routing.drifting) * drifting[at] + fresh * normal(random);
      }
      std::iota(order.begin(), order.end(), 0u);
      std::partial_sort(order.begin(), order.begin() + routing.used, order.end(), [&](uint32_t a, uint32_t b) { return score[a] > score[b]; });
      trace.Write(layer, std::span(order).first(routing.used));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Writes a trace of routers' choices with a given skew and drift.\n"};
  app.footer("Examples:\n"
             "  headrace-make-trace trace; headrace-replay trace\n"
             "  headrace-make-trace --lasting 0.3 --drifting 0.5 --memory 0.8 --topic-tokens 300 trace");
  Routing routing;
  std::string path;
  app.add_option("TRACE", path, "the file to write")->required();
  app.add_option("--layers", routing.layers)->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_option("--experts", routing.experts, "of each layer")->capture_default_str()->check(CLI::Range(1, 4096));
  app.add_option("--used", routing.used, "experts for each token")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--tokens", routing.tokens)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--lasting", routing.lasting, "share of an expert's score that stays: skew")->capture_default_str()->check(CLI::Range(0.0, 1.0));
  app.add_option("--drifting", routing.drifting, "share that changes slowly")->capture_default_str()->check(CLI::Range(0.0, 1.0));
  app.add_option("--memory", routing.memory, "what of the drifting share remains at the next token")->capture_default_str()->check(CLI::Range(0.0, 1.0));
  app.add_option("--topic-tokens", routing.topic_tokens, "tokens after which other experts are popular; 0: never")->capture_default_str();
  app.add_option("--seed", routing.seed)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (routing.used > routing.experts || routing.lasting + routing.drifting > 1) {
    fmt::print(stderr, "headrace-make-trace: --used is at most --experts, and the shares --lasting and --drifting together at most 1\n");
    return 1;
  }
  auto trace = headrace::RouterTraceWriter::Create(path);
  if (!trace.ok()) {
    fmt::print(stderr, "headrace-make-trace: {}\n", trace.status().message());
    return 1;
  }
  Write(routing, **trace);
  return 0;
}
