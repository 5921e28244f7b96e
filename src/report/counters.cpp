#include "report/counters.h"

namespace headrace::cli {
namespace {

using C = Counter;

constexpr Counter kCounters[] = {
    {"budget_bytes", "budget_bytes", C::kBytes, C::kNow, "Memory for weights that was granted", &Snapshot::budget_bytes,
     &Statistics::budget_bytes},
    {"weight_bytes", "weight_bytes", C::kBytes, C::kNow, "Weights that headrace manages", &Snapshot::weight_bytes,
     &Statistics::weight_bytes},
    {"resident_target_bytes", "resident_target_bytes", C::kBytes, C::kNow, "Weights that are to stay in memory",
     &Snapshot::resident_target_bytes, &Statistics::resident_target_bytes},
    {"resident_bytes", "resident_weight_bytes", C::kBytes, C::kNow, "Of these: in memory by now",
     &Snapshot::resident_bytes, &Statistics::resident_bytes},
    {"streamed_bytes_per_pass", "streamed_bytes_per_pass", C::kBytes, C::kNow,
     "Weights that every pass reads, without experts", &Snapshot::streamed_bytes_per_pass,
     &Statistics::streamed_bytes_per_pass},
    {"ring_bytes", "ring_bytes", C::kBytes, C::kNow, "Memory for weights on their way from the disk",
     &Snapshot::ring_bytes, &Statistics::ring_bytes},
    {"scratch_bytes", "scratch_bytes", C::kBytes, C::kNow, "Memory for repacking", &Snapshot::scratch_bytes,
     &Statistics::scratch_bytes},
    {"expert_bytes", "expert_bytes", C::kBytes, C::kNow, "Of the weights: experts of mixture layers",
     &Snapshot::expert_bytes, &Statistics::expert_bytes},
    {"expert_cache_bytes", "expert_cache_bytes", C::kBytes, C::kNow, "Memory for experts",
     &Snapshot::expert_cache_bytes, &Statistics::expert_cache_bytes},
    {"expert_resident_bytes", "expert_resident_bytes", C::kBytes, C::kNow, "Experts in memory",
     &Snapshot::expert_resident_bytes, &Statistics::expert_resident_bytes},
    {"row_memory_bytes", "row_memory_bytes", C::kBytes, C::kNow,
     "Memory for rows of tables that are looked up by token", &Snapshot::row_memory_bytes,
     &Statistics::row_memory_bytes},
    {"kv_ram_bytes", "kv_ram_bytes", C::kBytes, C::kNow, "Memory for a KV cache that lies in a file",
     &Snapshot::kv_ram_bytes, &Statistics::kv_ram_bytes},
    {"process_limit_bytes", "process_limit_bytes", C::kBytes, C::kNow, "Memory limit of the whole process, 0 for none",
     &Snapshot::process_limit_bytes, &Statistics::process_limit_bytes},
    {"process_bytes", "process_bytes", C::kBytes, C::kNow,
     "Memory of the whole process when its last pass began: anonymous memory and code", &Snapshot::process_bytes,
     &Statistics::process_bytes},
    {"probed_disk_bytes_per_s", "probed_disk_bytes_per_second", C::kBytes, C::kNow,
     "What the disk gave when it was measured, 0 for unknown", &Snapshot::probed_disk_bytes_per_s,
     &Statistics::probed_disk_bytes_per_s},

    {"passes", "passes_total", C::kNumber, C::kSum, "Passes over the weights", &Snapshot::passes, &Statistics::passes},
    {"tokens", "tokens_total", C::kNumber, C::kSum, "Tokens of all passes, of prompts and answers", &Snapshot::tokens,
     &Statistics::tokens},
    {"errors", "errors_total", C::kNumber, C::kSum, "Failed passes and other errors", &Snapshot::errors,
     &Statistics::errors},
    {"bytes_read", "read_bytes_total", C::kBytes, C::kSum, "Bytes read from the disk", &Snapshot::bytes_read,
     &Statistics::bytes_read},
    {"reads_failed", "reads_failed_total", C::kNumber, C::kSum, "Reads that failed for good", &Snapshot::reads_failed,
     &Statistics::reads_failed},
    {"reads_retried", "reads_retried_total", C::kNumber, C::kSum, "Reads that were repeated", &Snapshot::reads_retried,
     &Statistics::reads_retried},
    {"pass", "pass_seconds_total", C::kTime, C::kSum, "Time in passes", &Snapshot::pass_ns, &Statistics::pass_ns},
    {"wait", "wait_seconds_total", C::kTime, C::kSum, "Of the time in passes: waiting for the disk", &Snapshot::wait_ns,
     &Statistics::wait_ns},
    {"kernel", "kernel_seconds_total", C::kTime, C::kSum,
     "Of the time in passes: in kernels on managed weights, with repacking", &Snapshot::kernel_ns,
     &Statistics::kernel_ns},
    {"repack", "repack_seconds_total", C::kTime, C::kSum, "Of the time in kernels: repacking", &Snapshot::repack_ns,
     &Statistics::repack_ns},
    {"own", "own_seconds_total", C::kTime, C::kSum, "Of the time in passes: in headrace's own code", &Snapshot::own_ns,
     &Statistics::own_ns},
    {"disturbed", "disturbed_seconds_total", C::kTime, C::kSum, "Of the time in passes: what other programs took",
     &Snapshot::disturbed_ns, &Statistics::disturbed_ns},

    {"decode_tokens", "decode_tokens_total", C::kNumber, C::kSum,
     "Passes one token wide, but for the first: the decode that the next numbers are about", &Snapshot::decode_passes,
     &Statistics::decode_passes},
    {"decode", "decode_seconds_total", C::kTime, C::kSum, "Time of decode", &Snapshot::decode_ns,
     &Statistics::decode_ns},
    {"decode_wait", "decode_wait_seconds_total", C::kTime, C::kSum, "Of that: waiting for the disk",
     &Snapshot::decode_wait_ns, &Statistics::decode_wait_ns},
    {"decode_kernel", "decode_kernel_seconds_total", C::kTime, C::kSum, "Of that: in kernels on managed weights",
     &Snapshot::decode_kernel_ns, &Statistics::decode_kernel_ns},
    {"decode_bytes", "decode_streamed_bytes_total", C::kBytes, C::kSum, "Streamed weights that decode used",
     &Snapshot::decode_bytes, &Statistics::decode_bytes},
    {"decode_weight_bytes", "decode_weight_bytes_total", C::kBytes, C::kSum,
     "Weights that decode multiplied, streamed or resident", &Snapshot::decode_weight_bytes,
     &Statistics::decode_weight_bytes},
    {"draft_passes", "draft_passes_total", C::kNumber, C::kSum, "Passes one token wide of a draft model",
     &Snapshot::draft_passes, &Statistics::draft_passes},
    {"draft", "draft_seconds_total", C::kTime, C::kSum, "Time of these", &Snapshot::draft_ns, &Statistics::draft_ns},

    {"experts_chosen", "experts_chosen_total", C::kNumber, C::kSum,
     "Experts that decode used, one for each layer and pass", &Snapshot::experts_chosen, &Statistics::experts_chosen},
    {"expert_hits", "expert_hits_total", C::kNumber, C::kSum, "Of those: in memory when they were chosen",
     &Snapshot::expert_hits, &Statistics::expert_hits},
    {"expert_bytes_read", "expert_read_bytes_total", C::kBytes, C::kSum, "Bytes of experts read into memory for them",
     &Snapshot::expert_bytes_read, &Statistics::expert_bytes_read},
    {"expert_neighbours", "expert_neighbours_total", C::kNumber, C::kSum,
     "Choices of tokens whose predecessor is known", &Snapshot::expert_neighbours, &Statistics::expert_neighbours},
    {"experts_again", "experts_again_total", C::kNumber, C::kSum, "Of those: the predecessor chose the same expert",
     &Snapshot::experts_again, &Statistics::experts_again},
    {"rows_looked_up", "rows_looked_up_total", C::kNumber, C::kSum, "Rows of tables that were looked up by token",
     &Snapshot::rows_looked_up, &Statistics::rows_looked_up},
    {"row_hits", "row_hits_total", C::kNumber, C::kSum, "Of those: in memory already", &Snapshot::row_hits,
     &Statistics::row_hits},
    {"row_bytes_read", "row_read_bytes_total", C::kBytes, C::kSum, "Bytes of rows read from the disk",
     &Snapshot::row_bytes_read, &Statistics::row_bytes_read},

    {"uploaded_bytes", "uploaded_bytes_total", C::kBytes, C::kSum, "Weights copied to devices",
     &Snapshot::uploaded_bytes, &Statistics::uploaded_bytes},
    {"uploaded_from_memory_bytes", "uploaded_from_memory_bytes_total", C::kBytes, C::kSum, "Of those: were in memory",
     &Snapshot::uploaded_from_memory_bytes, &Statistics::uploaded_from_memory_bytes},

    {"kv_bytes_read", "kv_read_bytes_total", C::kBytes, C::kSum, "Keys and values read back from their file",
     &Snapshot::kv_bytes_read, &Statistics::kv_bytes_read},
    {"kv_bytes_written", "kv_written_bytes_total", C::kBytes, C::kSum, "Keys and values computed into their file",
     &Snapshot::kv_bytes_written, &Statistics::kv_bytes_written},
    {"kv_wait", "kv_wait_seconds_total", C::kTime, C::kSum, "Waiting for keys and values", &Snapshot::kv_wait_ns,
     &Statistics::kv_wait_ns},
};

}  // namespace

std::span<const Counter> Counters() { return kCounters; }

double Seconds(uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

const char* StateName(uint32_t state) {
  switch (state) {
    case Snapshot::kLoading:
      return "loading";
    case Snapshot::kStreaming:
      return "streaming";
    default:
      return "passive";
  }
}

const char* KernelName(uint32_t kernels) {
  switch (kernels) {
    case Snapshot::kPlain:
      return "plain";
    case Snapshot::kRepack:
      return "repack";
    case Snapshot::kMixed:
      return "mixed";
    default:
      return "undecided";
  }
}

Json CountersJson(const Statistics& s, TimesIn times) {
  const bool seconds = times == TimesIn::kSeconds;
  const auto time_json = [&](uint64_t ns) { return seconds ? Json(Seconds(ns)) : Json(ns); };
  const char* const suffix = seconds ? "_s" : "_ns";
  Json json = {{"state", StateName(s.state)},
               {"kernels", KernelName(s.kernels)},
               {"direct_io", s.direct_io},
               {"disturbed_share", s.disturbed_share()},
               {"last_error", s.last_error.empty() ? Json() : Json(s.last_error)}};
  for (const Counter& counter : kCounters) {
    const uint64_t value = s.*counter.value;
    if (counter.unit == Counter::kTime) {
      json[std::string(counter.name) + suffix] = time_json(value);
    } else {
      json[counter.name] = value;
    }
  }
  Json& widths = json["widths"] = Json::array();
  for (const auto& sums : s.widths) {
    if (sums.passes == 0) continue;
    widths.push_back({{"tokens", sums.tokens}, {"passes", sums.passes}, {seconds ? "s" : "ns", time_json(sums.ns)}});
  }
  Json& drives = json["drives"] = Json::array();
  for (const auto& drive : s.drives) {
    drives.push_back({{"name", drive.Name()},
                      {"bytes_read", drive.bytes_read},
                      {"bytes_per_s", drive.bytes_per_s},
                      {"reads_failed", drive.reads_failed}});
  }
  return json;
}

}  // namespace headrace::cli
