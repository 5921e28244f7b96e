#include "exec/pass_account.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"

#include "base/log.h"
#include "base/size.h"

namespace headrace {
namespace {

void Add(Snapshot::Counter& counter, uint64_t amount) { counter.fetch_add(amount, std::memory_order_relaxed); }

// Looking takes at most this part of the time.
constexpr uint64_t kLookPart = 100;

void AddWidth(Snapshot& snapshot, const PassAccount::Pass& pass) {
  const auto tokens = static_cast<uint64_t>(pass.columns);
  if (!pass.largest) {
    if (tokens != 1) return;
    Add(snapshot.draft_passes, 1);
    Add(snapshot.draft_ns, pass.wall_ns);
  } else if (const size_t index = WidthIndex(tokens); index < kWidthLimits.size()) {
    Snapshot::WidthSums& sums = snapshot.widths[index];
    Add(sums.passes, 1);
    Add(sums.tokens, tokens);
    Add(sums.ns, pass.wall_ns);
  }
}

}  // namespace

PassAccount::PassAccount(SnapshotWriter& snapshot, const ReadService& reads, const WeightStore& weights,
                         const ExpertStore& experts, const RowStore& rows)
    : snapshot_(snapshot),
      reads_(reads),
      weights_(weights),
      experts_(experts),
      rows_(rows),
      read_accounted_(snapshot->bytes_read),
      expert_read_accounted_(snapshot->expert_bytes_read) {}

void PassAccount::Begin(uint64_t now_ns) {
  times = published_ = {};
  published_at_ = now_ns;
  counts = {};
  // What others do while nothing is computed disturbs nobody.
  if (now_ns > finished_at_ + look_every_ns_) LookAtOthers(now_ns);
}

// Between two passes of this process nothing that is learned is measured: no more than their own time is lost.
void PassAccount::LookAtOthers(uint64_t now_ns) {
  Snapshot& snapshot = *snapshot_;
  const uint64_t own_bytes = snapshot.bytes_read + snapshot.kv_bytes_read + snapshot.kv_bytes_written;
  const OwnDisk disk{snapshot.model_device, static_cast<double>(snapshot.probed_disk_bytes_per_s), own_bytes};
  Add(snapshot.disturbed_ns, std::min(disturbance_.Take(disk), std::exchange(unlooked_ns_, 0)));
  look_every_ns_ = kLookPart * (Now() - now_ns);
  look_at_ = now_ns + look_every_ns_;
}

void PassAccount::PublishPlan(std::span<const SourceFile* const> files) {
  Snapshot& snapshot = *snapshot_;
  const ResidencyPlan& plan = weights_.plan();
  snapshot.weight_bytes = weights_.weight_bytes();
  snapshot.resident_target_bytes = plan.resident_bytes;
  snapshot.streamed_bytes_per_pass = plan.streamed_bytes;
  snapshot.ring_bytes = plan.ring_bytes;
  snapshot.scratch_bytes = plan.scratch_bytes;
  snapshot.expert_bytes = weights_.expert_bytes();
  snapshot.expert_cache_bytes = experts_.cache_bytes();
  snapshot.row_memory_bytes = rows_.memory_bytes();
  snapshot.direct_io = std::all_of(files.begin(), files.end(), [](const SourceFile* file) { return file->direct(); });
  if (const Weight* weight = weights_.Largest()) {
    const std::string& path = weight->origin.file->path();
    std::strncpy(snapshot.model, path.substr(path.rfind('/') + 1).c_str(), sizeof snapshot.model - 1);
    snapshot.model_device = weight->origin.file->identity().device;
  }
}

void PassAccount::Publish(uint64_t now_ns) {
  Snapshot& snapshot = *snapshot_;
  const uint64_t wait_ns = times.wait_ns - published_.wait_ns, kernel_ns = times.kernel_ns - published_.kernel_ns;
  const uint64_t takeover_ns = times.takeover_ns - published_.takeover_ns;
  Add(snapshot.pass_ns, now_ns - published_at_);
  Add(snapshot.wait_ns, wait_ns);
  Add(snapshot.kernel_ns, kernel_ns);
  Add(snapshot.own_ns, takeover_ns - std::min(takeover_ns, wait_ns + kernel_ns));
  published_ = times;
  published_at_ = now_ns;
  if (snapshot.state == Snapshot::kLoading) snapshot.resident_bytes = weights_.resident_bytes();
  Add(snapshot.bytes_read, read_.Advance(reads_.bytes_read()));
  Add(snapshot.expert_bytes_read, read_by_cache_.Advance(experts_.bytes_read()));
  Add(snapshot.reads_failed, failed_.Advance(reads_.reads_failed()));
  Add(snapshot.reads_retried, retried_.Advance(reads_.reads_retried()));
  Add(snapshot.row_bytes_read, rows_read_.Advance(rows_.bytes_read()));
  Add(snapshot.rows_looked_up, rows_looked_up_.Advance(rows_.looked_up()));
  Add(snapshot.row_hits, rows_hit_.Advance(rows_.hits()));
  for (size_t i = 0; drives_ != nullptr && i < kMostDrives; ++i) {
    const DriveFigures& drive = (*drives_)[i];
    snapshot.drives[i].device = drive.device.load();
    snapshot.drives[i].bytes_read = drive.bytes_read.load();
    snapshot.drives[i].bytes_per_s = drive.bytes_per_s.load();
    snapshot.drives[i].reads_failed = drive.reads_failed.load();
  }
}

uint64_t PassAccount::Finish(const Pass& pass, const KernelChoice& choice) {
  Snapshot& snapshot = *snapshot_;
  const uint64_t own_ns = times.takeover_ns - std::min(times.takeover_ns, times.wait_ns + times.kernel_ns);
  const uint64_t repack_ns = repack_.Advance(pass.moved_ns);
  const uint64_t read_by_pass = snapshot.bytes_read - read_accounted_;
  const uint64_t read_by_cache = snapshot.expert_bytes_read - expert_read_accounted_;
  read_accounted_ += read_by_pass;
  expert_read_accounted_ += read_by_cache;
  if (const ExpertCache* const cache = experts_.cache()) snapshot.expert_resident_bytes = cache->ready_bytes();
  Add(snapshot.experts_chosen, counts.chosen);
  Add(snapshot.expert_hits, counts.hits);
  Add(snapshot.expert_neighbours, neighbours_.Advance(overlap.choices()));
  Add(snapshot.experts_again, again_.Advance(overlap.again()));
  snapshot.resident_bytes = weights_.resident_bytes();
  Add(snapshot.repack_ns, repack_ns);
  Add(snapshot.passes, 1);
  Add(snapshot.tokens, static_cast<uint64_t>(pass.columns));
  const bool loading = snapshot.state == Snapshot::kLoading;
  // A few tokens that fill an empty cache take longer than those after them.
  const bool filling = read_by_cache > 0 && pass.columns < KernelChoice::kWideTokens && experts_.cache() != nullptr &&
                       experts_.cache()->HasFreeSlots();
  if (!loading && !filling) {
    AddWidth(snapshot, pass);
    unlooked_ns_ += pass.wall_ns;
  }
  finished_at_ = published_at_;
  if (loading || finished_at_ >= look_at_) LookAtOthers(finished_at_);
  if (pass.columns == 1 && pass.largest && !loading) {
    Add(snapshot.decode_passes, 1);
    Add(snapshot.decode_ns, pass.wall_ns);
    Add(snapshot.decode_wait_ns, times.wait_ns);
    Add(snapshot.decode_kernel_ns, times.kernel_ns);
    Add(snapshot.decode_own_ns, own_ns);
    Add(snapshot.decode_bytes, pass.streamed_bytes + read_by_cache);
    Add(snapshot.decode_weight_bytes, pass.multiplied_bytes);
  }
  snapshot.kernels = choice.ForDecode();
  // The benchmark reads this line and the next (bench/harness/traces.py).
  LogDebug(
      fmt::format("pass {}: {} columns, {:.1f} ms: {:.1f} waiting for the disk, {:.1f} in kernels ({:.1f} repacking), "
                  "{:.1f} own; {} streamed",
                  snapshot.passes.load(), pass.columns, pass.wall_ns / 1e6, times.wait_ns / 1e6, times.kernel_ns / 1e6,
                  repack_ns / 1e6, own_ns / 1e6, FormatSize(pass.streamed_bytes)));
  if (counts.chosen > 0) {
    LogDebug(fmt::format("pass {}: {} of {} experts were in memory, {} read; {} of {} foreseen", snapshot.passes.load(),
                         counts.hits, counts.chosen, FormatSize(read_by_cache), counts.foreseen_rightly,
                         counts.foreseen));
  }
  snapshot.state = Snapshot::kStreaming;
  return read_by_cache;
}

}  // namespace headrace
