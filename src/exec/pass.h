// The schedule of one pass: which products of a graph are taken over, and which bytes they read in which
// order. Built before the pass starts from the graph and from what is resident.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/weight_store.h"
#include "stream/prefetcher.h"

namespace headrace {

struct ExpertUse;

// Where the time of one pass went, and what it converted.
struct PassTimes {
  uint64_t wait_ns = 0;  // for the disk
  uint64_t kernel_ns = 0;
  uint64_t takeover_ns = 0;  // all of the above and headrace's own code
  uint64_t packed_bytes = 0;
};

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
  int at = 0;                           // its place in the graph
  ggml_backend_t backend = nullptr;     // the CPU backend that computes it
  bool elsewhere = false;            // the scheduler chose another backend that works on the processor's memory (BLAS)
  bool upload = false;               // a device computes it: its weight is copied there
  const ggml_tensor* ids = nullptr;  // of a MUL_MAT_ID node: what the router chooses, of which the node may name a copy
  bool kept = false;  // an upload: the engine keeps experts on the device, and copies those that it lacks
  Weight* weight = nullptr;
  ExpertUse* experts = nullptr;       // of a MUL_MAT_ID node: what it shares with the layer's others
  size_t slice = 0;                   // its weight's place in the layer
  uint64_t resident_rows = 0;         // when its turn comes
  std::vector<SegmentRows> segments;  // what its turn reads
  size_t first_segment = 0;           // their first one's number in what was announced
  bool by_engine = false;             // its weight is in memory: the engine multiplies with that

  // All of its weight is in memory, and will be when its turn comes.
  bool resident() const { return experts == nullptr && segments.empty() && weight->resident_rows == weight->cut.rows; }
};

// What the engine said about one computation with a tensor: kInternal, `failure` and the tensor's name, when it failed;
// kCancelled when its host asked it to stop.
Status CheckComputed(ggml_status status, const char* failure, const ggml_tensor& tensor);
// The same of a product with a weight.
Status CheckProduct(ggml_status status, const Weight& weight);

// Cuts rows [begin, end) of a weight into segments of whole row groups, none across two matrices of experts.
void CutSegments(const Weight& weight, uint64_t begin, uint64_t end, uint64_t limit, bool keep,
                 std::vector<SegmentRows>& segments);

// The bytes of those rows in the file.
Segment SegmentOf(const Weight& weight, const SegmentRows& rows);

// Fills in what one takeover without experts will read and find resident if its turn comes now.
void ScheduleProduct(Takeover& takeover, uint64_t segment_limit);

// Fills in what takeovers without experts (node, before, backend, weight), from the `first` one on, will read and find
// resident; those before have had their turn. In `next`, for each takeover of the pass, what a pass that follows will
// read, when this one's rows are kept. `segment_limit` is the plan's segment_bytes.
void SchedulePass(std::vector<Takeover>& takeovers, size_t first, uint64_t segment_limit,
                  std::vector<std::vector<SegmentRows>>& next);

}  // namespace headrace
