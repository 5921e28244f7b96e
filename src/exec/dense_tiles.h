// A product without experts, divided among the engine's threads while they compute one node: each takes tiles of the
// weight's rows, those that have arrived from the disk before those in memory, and multiplies them alone. Nobody waits
// for another thread, and for the disk only when nothing else is left.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "exec/kernel_choice.h"
#include "exec/running_pass.h"
#include "exec/worker.h"

namespace headrace {

// One product at a time.
class DenseTiles {
 public:
  // Both outlive it.
  DenseTiles(RunningPass& pass, const KernelChoice& choice) : pass_(pass), choice_(choice) {}

  // A product's turn begins: `threads` will work.
  void Begin(const Takeover& takeover, int threads);
  // Multiplies until no tile is left; each thread once, with its own worker. Adds the time that it waited for the disk.
  // After an error the other threads stop too.
  Status Work(int thread, Worker& worker, uint64_t& wait_ns);
  // All have worked, and none failed: what was kept is resident from now on.
  void End();

 private:
  struct Tile {
    uint64_t first_row = 0;
    uint64_t rows = 0;
    size_t segment = kResident;  // of the takeover
    bool keep = false;
  };
  static constexpr size_t kResident = SIZE_MAX;

  Result<bool> Take(int thread, Tile& tile);
  bool NextHasArrived() const;  // needs mutex_
  Status BeginSegment();        // needs mutex_
  Status Multiply(const Tile& tile, int thread, Worker& worker, uint64_t& wait_ns);
  Status MultiplyArrived(const Tile& tile, int thread, Worker& worker, uint64_t& wait_ns);
  uint64_t RowsAtOnce(uint64_t rows, uint64_t most_bytes, uint64_t threads) const;

  RunningPass& pass_;
  const KernelChoice& choice_;
  const Takeover* takeover_ = nullptr;
  int threads_ = 1;
  bool pack_ =
      false;  // streamed rows are repacked before they are multiplied, each thread's in its part of the scratch
  uint64_t scratch_bytes_ = 0;  // of each part
  int packers_ = 0;             // threads that have a part
  uint64_t resident_tile_rows_ = 0;

  std::mutex mutex_;           // guards all below while threads work
  uint64_t resident_row_ = 0;  // the first that nobody took
  size_t segment_ = 0;         // from which tiles are taken
  uint64_t segment_row_ = 0;   // in it, the first that nobody took
  uint64_t segment_tile_rows_ = 0;
  bool keep_ = false;                // its rows become resident
  uint64_t kept_ = 0;                // rows up to here will be resident
  std::vector<uint64_t> rows_left_;  // of each segment, not multiplied yet
  bool failed_ = false;
};

}  // namespace headrace
