// A product of a layer's chosen experts, divided among the engine's threads while they compute one node: each takes tiles of experts that are in memory
// and multiplies them alone; when none is, it waits for the next one to arrive.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "exec/kernel_choice.h"
#include "exec/running_pass.h"
#include "exec/worker.h"

namespace headrace {

// One product at a time. The same protocol as DenseTiles'.
class ExpertTiles {
 public:
  // Both outlive it.
  ExpertTiles(RunningPass& pass, const KernelChoice& choice) : pass_(pass), choice_(choice) {}

  // A product's turn begins; its router has chosen. Experts for which the cache had no room are read through the mapping, which is slow and always right.
  void Begin(const Takeover& takeover, int threads);
  Status Work(Worker& worker, uint64_t& wait_ns);

 private:
  struct Item {
    enum class State { kAbsent, kConverting, kReady };
    uint32_t expert = 0;
    size_t pin = kNoPin;
    State state = State::kAbsent;
    const uint8_t* data = nullptr;   // when ready
    uint64_t next_row = 0;           // that nobody took
  };
  static constexpr size_t kNoPin = SIZE_MAX;
  struct Job {
    Item* item = nullptr;
    bool convert = false;
    uint64_t first_row = 0, rows = 0;
  };

  bool Take(Job& job, std::vector<size_t>& absent);   // needs mutex_
  Status Convert(Item& item, Worker& worker);
  Status Multiply(const Job& job, Worker& worker);
  bool converts() const { return choice_.CachePackedExperts() && takeover_->weight->packed != nullptr; }

  RunningPass& pass_;
  const KernelChoice& choice_;
  const Takeover* takeover_ = nullptr;
  uint64_t tile_rows_ = 0;

  std::mutex mutex_;                 // guards all below while threads work
  std::condition_variable converted_;
  std::vector<Item> items_;
  bool failed_ = false;
};

}  // namespace headrace
