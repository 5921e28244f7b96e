// What the library is doing, for other processes to read while it runs and after it ended: a small file
// (best on a memory file system) that the library maps and writes, and the headrace command maps and reads.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/descriptor.h"
#include "base/status.h"
#include "telemetry/width_sums.h"

namespace headrace {

// One writer process, any number of readers. Every counter is written with relaxed atomic stores: a
// reader sees each number whole, not all numbers of one instant. Times are nanoseconds, sizes bytes.
struct Snapshot {
  static constexpr uint64_t kMagic = 0x3145434152444148;  // "HADRACE1"
  static constexpr uint32_t kVersion = 9;

  enum State : uint32_t {
    kPassive = 0,    // loaded, nothing to stream: stock llama.cpp runs
    kLoading = 1,    // a pass is bringing the resident share in
    kStreaming = 2,  // the resident share is in memory, the rest streams
  };
  enum KernelChoice : uint32_t { kUndecided = 0, kPlain = 1, kRepack = 2, kMixed = 3 };

  using Counter = std::atomic<uint64_t>;

  uint64_t magic = kMagic;
  uint32_t version = kVersion;
  uint32_t bytes = 0;  // sizeof(Snapshot) of the writer
  Counter process_id{0};
  std::atomic<uint32_t> state{kPassive};
  std::atomic<uint32_t> kernels{kUndecided};  // for narrow batches (decode) of streamed weights
  std::atomic<uint32_t> direct_io{0};
  std::atomic<uint32_t> models{0};  // models that stream now

  Counter budget_bytes{0};             // memory for weights that was granted
  Counter process_limit_bytes{0};      // memory for the whole process; 0: no limit but the one for weights
  Counter process_bytes{0};            // what it held at the start of the last pass: anonymous memory and code
  Counter probed_disk_bytes_per_s{0};  // the disk's measured speed, 0: unknown
  Counter model_device{0};             // st_dev of the largest model's file
  Counter weight_bytes{0};             // weights under headrace's management
  Counter resident_target_bytes{0};    // what the plan keeps resident
  Counter resident_bytes{0};           // what is resident by now
  Counter streamed_bytes_per_pass{0};  // the rest but for experts: read once per pass
  Counter ring_bytes{0};
  Counter scratch_bytes{0};
  Counter expert_bytes{0};           // of weight_bytes: experts of mixture layers
  Counter expert_cache_bytes{0};     // memory for them
  Counter expert_resident_bytes{0};  // what is in it by now

  // Sums over all passes, brought up to date after each product, `passes` and `tokens` after each pass.
  Counter passes{0};
  Counter tokens{0};  // columns of all passes: of prompts, of decode, of all sequences
  Counter errors{0};  // failed passes, engines that do not fit, and the like
  Counter bytes_read{0};
  Counter reads_failed{0};
  Counter reads_retried{0};
  // An expert is counted once for each layer and narrow pass (decode) that chose it.
  Counter experts_chosen{0};
  Counter expert_hits{0};        // of those: in memory when they were chosen
  Counter expert_bytes_read{0};  // into the cache
  Counter expert_neighbours{0};  // choices of tokens of which the one before is known (exec/choice_overlap.h)
  Counter experts_again{0};      // of those: that one's, too
  // Of tables that are looked up by token (embeddings): each number in a list counts.
  Counter rows_looked_up{0};
  Counter row_hits{0};  // of those: in memory already
  Counter row_bytes_read{0};
  Counter row_memory_bytes{0};  // for them
  Counter uploaded_bytes{0};    // of weights that the engine copied to devices, while it loaded models and in passes
  Counter uploaded_from_memory_bytes{0};  // of those: were in memory, the others were read
  Counter pass_ns{0};                     // wall time inside the engine's graph computation
  Counter wait_ns{0};                     // of that: waiting for the disk
  Counter kernel_ns{0};                   // in ggml kernels on managed weights, repacking included
  Counter repack_ns{0};                   // of that: repacking
  Counter own_ns{0};                      // in headrace's own code, neither waiting nor in kernels
  // Decode passes (one token wide) of the largest model alone, from the second on: what tokens/s rest on.
  Counter decode_passes{0};
  Counter decode_ns{0};
  Counter decode_wait_ns{0};
  Counter decode_kernel_ns{0};
  Counter decode_own_ns{0};
  Counter decode_bytes{0};         // streamed bytes consumed
  Counter decode_weight_bytes{0};  // weights multiplied, streamed or resident
  // Passes of the largest model by width, but for those that bring resident weights in, and narrow ones that read
  // experts while their cache is not full yet.
  struct WidthSums {
    Counter passes{0};
    Counter tokens{0};
    Counter ns{0};
  };
  std::array<WidthSums, kWidthLimits.size()> widths{};
  // One token wide passes of other models: a draft's.
  Counter draft_passes{0};
  Counter draft_ns{0};
  Counter disturbed_ns{0};  // of the time of these passes: what other programs took, see telemetry/disturbance.h

  Counter kv_ram_bytes{0};      // memory meant for KV caches, 0 without a folder for them
  Counter kv_file_bytes{0};     // of KV caches that live in files now
  Counter kv_bytes_read{0};     // from those files
  Counter kv_bytes_written{0};  // keys and values that were computed into them
  Counter kv_wait_ns{0};        // of pass_ns where weights stream too: waiting for keys and values

  // That weights are read from, if there are mirrors.
  struct Drive {
    Counter device{0};  // st_dev; 0: there are no more
    Counter bytes_read{0};
    Counter bytes_per_s{0};   // measured while it reads
    Counter reads_failed{0};  // and were read from another drive, if there was one
  };
  std::array<Drive, 4> drives{};

  char model[256] = {};       // file name of the largest model
  char last_error[512] = {};  // "" when none; the first one stays
};

// Counts an error, and keeps the first one's text for whoever reads the snapshot. It is the process's last failure,
// too. Thread-safe.
void SetLastError(Snapshot& snapshot, const std::string& message);

// The writer's end. The object lives in a mapped file, or in private memory when there is none.
class SnapshotWriter {
 public:
  SnapshotWriter();  // private memory
  ~SnapshotWriter();
  SnapshotWriter(const SnapshotWriter&) = delete;
  SnapshotWriter& operator=(const SnapshotWriter&) = delete;

  // Creates (or empties) the file, or `path`.PID where another process that lives writes that one, and moves the
  // snapshot with its content into it. The file is locked as long as this process lives. Only once; one thread
  // at a time, while no other one counts.
  Status MapFile(const std::string& path);
  bool mapped() const { return !path_.empty(); }
  // The file that was mapped.
  const std::string& path() const { return path_; }
  // In a forked child: the file is the parent's alone.
  void LeaveToParent();

  Snapshot& operator*() { return *snapshot_.load(std::memory_order_relaxed); }
  const Snapshot& operator*() const { return *snapshot_.load(std::memory_order_relaxed); }
  Snapshot* operator->() { return snapshot_.load(std::memory_order_relaxed); }

 private:
  const std::unique_ptr<Snapshot> owned_;  // stays: a thread may still look at it
  std::atomic<Snapshot*> snapshot_;
  Descriptor lock_;
  std::string path_;
};

// The reader's end: what a writer's file held when it was read, also after the writer ended.
class SnapshotView {
 public:
  // Reads a copy, so that nobody who writes the file can disturb the reader. kNotFound while the writer has not
  // created it, kPermission, kUnsupported when it is of another version of headrace, kCorrupt when it is no snapshot.
  static Result<SnapshotView> Open(const std::string& path);
  const Snapshot& operator*() const { return *snapshot_; }
  const Snapshot* operator->() const { return snapshot_.get(); }
  // The process that writes it lived when it was read.
  bool alive() const { return alive_; }
  uint32_t user() const { return user_; }  // whose file it is

 private:
  std::unique_ptr<Snapshot> snapshot_;
  bool alive_ = false;
  uint32_t user_ = 0;
};

}  // namespace headrace
