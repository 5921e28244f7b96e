#include "routing.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace headrace {

const std::vector<RoutingKind>& RoutingKinds() {
  static const std::vector<RoutingKind> kinds = {
      {"popular",
       "of 128 experts, 8 used, a fifth takes 79 % of the choices",
       {.experts = 128, .used = 8, .lasting = 0.55}},
      {"few", "the same, and a tenth takes 80 %", {.experts = 128, .used = 8, .lasting = 0.79}},
      {"drifting",
       "of 512 experts, 10 used, none stays popular: 32 take 10 %, but least-recently-used with 64 hits 67 %, with 128 "
       "81 %",
       {.experts = 512, .used = 10, .tokens = 8000, .lasting = 0, .drifting = 0.58, .memory = 0.985}},
  };
  return kinds;
}

std::vector<RouterStep> Route(const Routing& routing) {
  std::mt19937_64 random(routing.seed);
  std::normal_distribution<double> normal;
  const size_t scores = size_t{routing.layers} * routing.experts;
  std::vector<double> lasting(scores), drifting(scores), score(routing.experts);
  std::vector<uint32_t> order(routing.experts);
  const auto draw = [&](std::vector<double>& values) {
    std::generate(values.begin(), values.end(), [&] { return normal(random); });
  };
  draw(lasting);
  draw(drifting);
  const double fresh = std::sqrt(std::max(0.0, 1 - routing.lasting - routing.drifting));
  std::vector<RouterStep> trace;
  trace.reserve(size_t{routing.tokens} * routing.layers);
  for (uint32_t token = 0; token < routing.tokens; ++token) {
    if (routing.topic_tokens > 0 && token > 0 && token % routing.topic_tokens == 0) draw(lasting);
    for (uint32_t layer = 0; layer < routing.layers; ++layer) {
      for (uint32_t expert = 0; expert < routing.experts; ++expert) {
        const size_t at = size_t{layer} * routing.experts + expert;
        drifting[at] = routing.memory * drifting[at] + std::sqrt(1 - routing.memory * routing.memory) * normal(random);
        score[expert] = std::sqrt(routing.lasting) * lasting[at] + std::sqrt(routing.drifting) * drifting[at] +
                        fresh * normal(random);
      }
      std::iota(order.begin(), order.end(), 0u);
      std::partial_sort(order.begin(), order.begin() + routing.used, order.end(),
                        [&](uint32_t a, uint32_t b) { return score[a] > score[b]; });
      trace.push_back({layer, {order.begin(), order.begin() + routing.used}});
    }
  }
  return trace;
}

}  // namespace headrace
