// Made-up choices of routers, of which it is known how skewed they are and how slowly they change. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "experts/router_trace.h"

namespace headrace {

// Each expert's score is normal, the sum of a part that lasts as long as a topic, one that drifts and one that is
// new with each token. The highest scores are chosen.
struct Routing {
  uint32_t layers = 16, experts = 128, used = 8, tokens = 2000;
  double lasting = 0.55;  // shares of the variance
  double drifting = 0;
  double memory = 0.8;        // correlation of the drifting part from token to token
  uint32_t topic_tokens = 0;  // after which the lasting part is drawn anew; 0: never
  uint64_t seed = 1;
};

struct RoutingKind {
  const char* name;
  const char* about;  // one line for --help
  Routing routing;
};
// Calibrated to what was published of models (docs/experts-policy.md).
const std::vector<RoutingKind>& RoutingKinds();

// A step for each layer of each token.
std::vector<RouterStep> Route(const Routing& routing);

}  // namespace headrace
