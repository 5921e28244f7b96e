// The experts of one layer in one pass: which its router chose, where their bytes come from, their products.
//
// A narrow batch (decode) takes them from the cache, which reads what is absent. A wide one (a prompt)
// needs nearly all of them once: they come through the ring like dense weights, those that are in the cache
// already from there. The cache's free slots get those that most tokens chose.
#pragma once

#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "base/clock.h"
#include "exec/expert_product.h"
#include "exec/pass.h"
#include "exec/router_choice.h"
#include "exec/router_foresight.h"
#include "experts/expert_cache.h"

namespace headrace {

struct ExpertUse {
  enum class Way {
    kCached,    // the cache reads what is absent
    kStreamed,  // nearly all experts are needed: read ahead before the router has chosen
    kOnDemand,  // streamed when the router has chosen
  };

  uint32_t layer = 0;  // in the cache
  uint32_t experts = 0;
  int64_t tokens = 0;
  int64_t per_token = 0;
  const ggml_tensor* ids = nullptr;  // what the router chooses: [per_token, tokens]
  size_t first = 0, last = 0;        // takeovers of the pass, which are not always neighbours
  bool upload = false;  // a device multiplies: the engine reads the router's choice there, and copies what was chosen
  bool kept = false;    // it copies in any order what it does not keep there; its ids are not those of experts
  Way way = Way::kOnDemand;
  RouterPath router;
  const Weight* router_weight = nullptr;  // null: not one of the pass's weights
  std::vector<uint32_t> foreseen;         // experts that the layer before expected

  // From the first takeover's turn on.
  bool begun = false;
  RouterChoice choice;
  ExpertCache::Pins cached;        // chosen experts that the cache has or reads
  std::vector<uint32_t> streamed;  // chosen experts that come through the ring
};

// How a pass gets the experts of a layer whose router chooses `per_token` of `experts` for each of `tokens`,
// with `slots` in the cache.
ExpertUse::Way ChooseWay(uint32_t experts, int64_t per_token, int64_t tokens, uint32_t slots);
// The same where a device multiplies: streamed or from the cache, for the choice is not known before the engine copies.
ExpertUse::Way ChooseUploadWay(const ExpertUse& use);

// Counters of one pass.
struct ExpertCounts {
  uint64_t chosen = 0;    // experts of layers that took the cache's way
  uint64_t hits = 0;      // of those: in the cache when they were chosen
  uint64_t foreseen = 0;  // by the layer before
  uint64_t foreseen_rightly = 0;
};

// Reads the router's choice, and pins or requests what the cache has or is to have. `cache` may be null.
// `layers_left`: layers of this pass from this one on, among which free slots are divided.
Status BeginUse(ExpertUse& use, ExpertCache* cache, size_t layers_left, ExpertCounts& counts);

// Calls `work(ready, last)` with those of the pinned experts (indices) whose slice is in memory, then with those that
// have arrived meanwhile, until it was called with all: `last` is true then. Adds the time that it waited. Errors: the
// read's, and work's.
template <typename Work>
Status AsTheyArrive(const ExpertCache::Pins& pins, size_t slice, uint64_t& wait_ns, const Work& work) {
  std::vector<size_t> waiting(pins.size()), ready, absent;
  std::iota(waiting.begin(), waiting.end(), size_t{0});
  while (!waiting.empty()) {
    ready.clear();
    absent.clear();
    for (const size_t i : waiting) (pins.data(i, slice) != nullptr ? ready : absent).push_back(i);
    if (ready.empty()) {
      const uint64_t start = Now();
      const Status arrived = pins.WaitForAny(slice, absent);
      wait_ns += Now() - start;
      HEADRACE_RETURN_IF_ERROR(arrived);
    } else {
      HEADRACE_RETURN_IF_ERROR(work(ready, absent.empty()));
    }
    waiting.swap(absent);
  }
  return {};
}

// What one of its takeovers streams now that the choice is known.
std::vector<SegmentRows> ChosenSegments(const ExpertUse& use, const Takeover& takeover, uint64_t segment_limit);

}  // namespace headrace
