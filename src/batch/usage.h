// What the engine's JSON says about a request, done or under way. Pure.
#pragma once

#include <string>

#include "batch/tally.h"

namespace headrace::batch {

struct Usage {
  Work work;
  bool ended_by_length = false;  // an answer did not come to its end
};

// Of the body of an answer; what it does not say is 0.
Usage UsageOf(const std::string& body);

// What all slots have computed, from the list of llama-server's GET /slots.
Work UnderWay(const std::string& slots);

}  // namespace headrace::batch
