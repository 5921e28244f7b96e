// headrace-snapshot-json: prints a statistics snapshot of the library (HEADRACE_SNAPSHOT) as one JSON object.
#include <cstdio>
#include <cstring>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "telemetry/snapshot.h"

namespace {

std::string Text(const char* text, size_t capacity) { return std::string(text, ::strnlen(text, capacity)); }

nlohmann::json ToJson(const headrace::Snapshot& s) {
  const auto u64 = [](const headrace::Snapshot::Counter& counter) { return counter.load(std::memory_order_relaxed); };
  const auto u32 = [](const std::atomic<uint32_t>& counter) { return counter.load(std::memory_order_relaxed); };
  nlohmann::json widths = nlohmann::json::array();
  for (const auto& sums : s.widths) {
    if (u64(sums.passes) > 0)
      widths.push_back({{"passes", u64(sums.passes)}, {"tokens", u64(sums.tokens)}, {"ns", u64(sums.ns)}});
  }
  return {
      {"process_id", u64(s.process_id)},
      {"state", u32(s.state)},
      {"kernels", u32(s.kernels)},
      {"direct_io", u32(s.direct_io)},
      {"models", u32(s.models)},
      {"budget_bytes", u64(s.budget_bytes)},
      {"weight_bytes", u64(s.weight_bytes)},
      {"resident_target_bytes", u64(s.resident_target_bytes)},
      {"resident_bytes", u64(s.resident_bytes)},
      {"streamed_bytes_per_pass", u64(s.streamed_bytes_per_pass)},
      {"ring_bytes", u64(s.ring_bytes)},
      {"scratch_bytes", u64(s.scratch_bytes)},
      {"expert_bytes", u64(s.expert_bytes)},
      {"expert_cache_bytes", u64(s.expert_cache_bytes)},
      {"expert_resident_bytes", u64(s.expert_resident_bytes)},
      {"experts_chosen", u64(s.experts_chosen)},
      {"expert_hits", u64(s.expert_hits)},
      {"expert_bytes_read", u64(s.expert_bytes_read)},
      {"rows_looked_up", u64(s.rows_looked_up)},
      {"row_hits", u64(s.row_hits)},
      {"row_bytes_read", u64(s.row_bytes_read)},
      {"row_memory_bytes", u64(s.row_memory_bytes)},
      {"uploaded_bytes", u64(s.uploaded_bytes)},
      {"uploaded_from_memory_bytes", u64(s.uploaded_from_memory_bytes)},
      {"process_limit_bytes", u64(s.process_limit_bytes)},
      {"process_bytes", u64(s.process_bytes)},
      {"probed_disk_bytes_per_s", u64(s.probed_disk_bytes_per_s)},
      {"passes", u64(s.passes)},
      {"tokens", u64(s.tokens)},
      {"errors", u64(s.errors)},
      {"bytes_read", u64(s.bytes_read)},
      {"reads_failed", u64(s.reads_failed)},
      {"reads_retried", u64(s.reads_retried)},
      {"pass_ns", u64(s.pass_ns)},
      {"wait_ns", u64(s.wait_ns)},
      {"kernel_ns", u64(s.kernel_ns)},
      {"repack_ns", u64(s.repack_ns)},
      {"own_ns", u64(s.own_ns)},
      {"decode_passes", u64(s.decode_passes)},
      {"decode_ns", u64(s.decode_ns)},
      {"decode_wait_ns", u64(s.decode_wait_ns)},
      {"decode_kernel_ns", u64(s.decode_kernel_ns)},
      {"decode_own_ns", u64(s.decode_own_ns)},
      {"decode_bytes", u64(s.decode_bytes)},
      {"decode_weight_bytes", u64(s.decode_weight_bytes)},
      {"draft_passes", u64(s.draft_passes)},
      {"draft_ns", u64(s.draft_ns)},
      {"widths", widths},
      {"model", Text(s.model, sizeof(s.model))},
      {"last_error", Text(s.last_error, sizeof(s.last_error))},
  };
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0) {
    fmt::print(argc == 2 ? stdout : stderr,
               "Usage: headrace-snapshot-json FILE\n\n"
               "Prints the statistics that a program with libheadrace.so wrote to the file named by\n"
               "HEADRACE_SNAPSHOT, while it runs or afterwards, as one JSON object.\n");
    return argc == 2 ? 0 : 2;
  }
  const auto view = headrace::SnapshotView::Open(argv[1]);
  if (!view.ok()) {
    fmt::print(stderr, "headrace-snapshot-json: {}\n", view.status().message());
    return 1;
  }
  fmt::print("{}\n", ToJson(**view).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return 0;
}
