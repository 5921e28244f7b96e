#include "exec/pass.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "base/size.h"

namespace headrace {

Status CheckComputed(ggml_status status, const char* failure, const ggml_tensor& tensor) {
  if (status == GGML_STATUS_SUCCESS) return {};
  if (status == GGML_STATUS_ABORTED) return Status(Code::kCancelled, "the host stopped the pass");
  return Status(Code::kInternal, fmt::format("{} {} (status {})", failure, tensor.name, static_cast<int>(status)));
}

Status CheckProduct(ggml_status status, const Weight& weight) {
  return CheckComputed(status, "ggml failed to multiply", weight.tensor);
}

void CutSegments(const Weight& weight, uint64_t begin, uint64_t end, uint64_t limit, bool keep,
                 std::vector<SegmentRows>& segments) {
  // A segment that is packed fits the scratch in either layout.
  const uint64_t most = weight.cut.by_rows
                            ? std::max(kRowGroup, AlignDown(limit / weight.widest_row_bytes(), kRowGroup))
                            : weight.cut.rows;
  const uint64_t matrix = weight.experts ? static_cast<uint64_t>(weight.tensor.ne[1]) : weight.cut.rows;
  for (uint64_t row = begin; row < end;) {
    const uint64_t count = std::min({most, end - row, matrix - row % matrix});
    segments.push_back({row, count, keep});
    row += count;
  }
}

Segment SegmentOf(const Weight& weight, const SegmentRows& rows) {
  return {weight.origin.file.get(), weight.origin.offset + rows.first_row * weight.cut.row_bytes,
          rows.rows * weight.cut.row_bytes};
}

void ScheduleProduct(Takeover& takeover, uint64_t segment_limit) {
  const Weight& weight = *takeover.weight;
  const uint64_t kept = std::max(weight.target_rows, weight.resident_rows);
  takeover.resident_rows = weight.resident_rows;
  takeover.segments.clear();
  CutSegments(weight, weight.resident_rows, kept, segment_limit, true, takeover.segments);
  CutSegments(weight, kept, weight.cut.rows, segment_limit, false, takeover.segments);
}

void SchedulePass(std::vector<Takeover>& takeovers, size_t first, uint64_t segment_limit,
                  std::vector<std::vector<SegmentRows>>& next) {
  next.assign(takeovers.size(), {});
  // A weight can be used more than once in a pass: its second use finds resident what the first kept.
  std::unordered_map<const Weight*, uint64_t> resident;
  for (size_t i = 0; i < takeovers.size(); ++i) {
    Takeover& takeover = takeovers[i];
    if (takeover.experts != nullptr) continue;
    const Weight& weight = *takeover.weight;
    if (i < first) {
      CutSegments(weight, std::max(weight.target_rows, weight.resident_rows), weight.cut.rows, segment_limit, false,
                  next[i]);
      continue;
    }
    uint64_t& rows = resident.try_emplace(&weight, weight.resident_rows).first->second;
    takeover.resident_rows = rows;
    takeover.segments.clear();
    const uint64_t kept = std::max(weight.target_rows, rows);
    CutSegments(weight, rows, kept, segment_limit, true, takeover.segments);
    CutSegments(weight, kept, weight.cut.rows, segment_limit, false, takeover.segments);
    CutSegments(weight, kept, weight.cut.rows, segment_limit, false, next[i]);
    rows = kept;
  }
}

}  // namespace headrace
