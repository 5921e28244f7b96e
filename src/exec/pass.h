// The schedule of one pass: which products of a graph are taken over, and which bytes they read in which
// order. Built before the pass starts from the graph and from what is resident.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/weight_store.h"
#include "stream/prefetcher.h"

namespace headrace {

// Rows of a weight that are read in one piece. `keep` rows become resident on the way.
struct SegmentRows {
  uint64_t first_row = 0;
  uint64_t rows = 0;
  bool keep = false;
};

// A product whose weight is managed.
struct Takeover {
  ggml_tensor* node = nullptr;
  const ggml_tensor* before = nullptr;  // the node before it in the graph, null for the first
  ggml_backend_t backend = nullptr;     // the CPU backend that the scheduler chose for it
  Weight* weight = nullptr;
  uint64_t resident_rows = 0;           // when its turn comes
  uint32_t first_segment = 0;           // in Pass::segments
  uint32_t segments = 0;
};

struct Pass {
  std::vector<Takeover> takeovers;      // in graph order
  std::vector<SegmentRows> rows;        // for each segment
  std::vector<Segment> segments;        // what the prefetcher reads
  std::vector<Segment> next;            // the same for a pass that follows, when this one's rows are kept
  uint64_t segment_bytes = 0;           // sum
  int64_t columns = 0;                  // widest batch among the products
  int64_t fewest_columns = 0;
};

// Fills in what `takeovers` (node, before, backend, weight) will read. `segment_limit` is the plan's
// segment_bytes.
Pass SchedulePass(std::vector<Takeover> takeovers, uint64_t segment_limit);

}  // namespace headrace
