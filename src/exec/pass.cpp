#include "exec/pass.h"

#include <algorithm>
#include <unordered_map>

#include "base/size.h"

namespace headrace {
namespace {

// Cuts rows [begin, end) into segments of whole row groups.
void CutSegments(const Weight& weight, uint64_t begin, uint64_t end, uint64_t limit, bool keep,
                 std::vector<SegmentRows>& rows, std::vector<Segment>& segments) {
  const uint64_t most = weight.cut.by_rows
                            ? std::max(kRowGroup, AlignDown(limit / weight.cut.row_bytes, kRowGroup))
                            : weight.cut.rows;
  for (uint64_t row = begin; row < end; row += most) {
    const uint64_t count = std::min(most, end - row);
    rows.push_back({row, count, keep});
    segments.push_back({weight.origin.file.get(), weight.origin.offset + row * weight.cut.row_bytes,
                        count * weight.cut.row_bytes});
  }
}

}  // namespace

Pass SchedulePass(std::vector<Takeover> takeovers, uint64_t segment_limit) {
  Pass pass;
  pass.takeovers = std::move(takeovers);
  // A weight can be used more than once in a pass: its second use finds resident what the first kept.
  std::unordered_map<const Weight*, uint64_t> resident;
  std::vector<SegmentRows> ignored;
  for (Takeover& takeover : pass.takeovers) {
    const Weight& weight = *takeover.weight;
    const auto [it, first_use] = resident.try_emplace(&weight, weight.resident_rows);
    takeover.resident_rows = it->second;
    takeover.first_segment = static_cast<uint32_t>(pass.segments.size());
    const uint64_t kept = std::max(weight.target_rows, takeover.resident_rows);
    CutSegments(weight, takeover.resident_rows, kept, segment_limit, true, pass.rows, pass.segments);
    CutSegments(weight, kept, weight.cut.rows, segment_limit, false, pass.rows, pass.segments);
    CutSegments(weight, kept, weight.cut.rows, segment_limit, false, ignored, pass.next);
    takeover.segments = static_cast<uint32_t>(pass.segments.size()) - takeover.first_segment;
    it->second = kept;
    const int64_t columns = takeover.node->ne[1] * takeover.node->ne[2] * takeover.node->ne[3];
    pass.columns = std::max(pass.columns, columns);
    pass.fewest_columns = pass.fewest_columns == 0 ? columns : std::min(pass.fewest_columns, columns);
  }
  for (const Segment& segment : pass.segments) pass.segment_bytes += segment.bytes;
  return pass;
}

}  // namespace headrace
