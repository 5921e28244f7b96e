// The account of a pass: where its time and its bytes went. Keeps the telemetry snapshot.
#pragma once

#include <cstdint>
#include <span>

#include "exec/choice_overlap.h"
#include "exec/expert_store.h"
#include "exec/expert_use.h"
#include "exec/kernel_choice.h"
#include "exec/pass.h"
#include "exec/row_store.h"
#include "exec/weight_store.h"
#include "io/drive_figures.h"
#include "io/read_service.h"
#include "telemetry/counter_growth.h"
#include "telemetry/disturbance.h"
#include "telemetry/snapshot.h"

namespace headrace {

// One owner at a time (the pass that runs).
class PassAccount {
 public:
  // All outlive it.
  PassAccount(SnapshotWriter& snapshot, const ReadService& reads, const WeightStore& weights,
              const ExpertStore& experts, const RowStore& rows);

  // Their figures are published, too; they outlive it.
  void SetDrives(const DriveTable& drives) { drives_ = &drives; }

  // Of the pass that runs: whoever spends adds.
  PassTimes times;
  ExpertCounts counts;
  ChoiceOverlap overlap;  // of all passes

  // A pass begins. Times are those of the steady clock, in nanoseconds.
  void Begin(uint64_t now_ns);
  // A plan was made for models of these files.
  void PublishPlan(std::span<const SourceFile* const> files);
  // Adds what happened since the last time, after each product: whoever watches sees a pass that takes seconds move.
  // It costs 0.1 us where a product takes hundreds (bench/telemetry_cost.cpp).
  void Publish(uint64_t now_ns);

  struct Pass {
    int64_t columns = 0;  // of the widest batch
    bool largest = true;  // of the largest model that streams, not of a draft beside it
    uint64_t wall_ns = 0;
    uint64_t streamed_bytes = 0;    // through the ring
    uint64_t multiplied_bytes = 0;  // of weights, if that batch is one column wide
    uint64_t moved_ns = 0;          // spent on repacking since the executor exists
  };
  // A pass has succeeded, and all of it was published. Returns what the experts' cache read.
  uint64_t Finish(const Pass& pass, const KernelChoice& choice);

 private:
  void LookAtOthers(uint64_t now_ns);

  SnapshotWriter& snapshot_;
  const ReadService& reads_;
  const WeightStore& weights_;
  const ExpertStore& experts_;
  const RowStore& rows_;
  const DriveTable* drives_ = nullptr;
  PassTimes published_;  // what the snapshot has of times
  uint64_t published_at_ = 0;
  // What the snapshot has of the counters of others.
  CounterGrowth read_, failed_, retried_, read_by_cache_, repack_, rows_read_, rows_looked_up_, rows_hit_, neighbours_,
      again_;
  uint64_t read_accounted_ = 0;         // bytes, up to the last pass
  uint64_t expert_read_accounted_ = 0;  // of these, by the experts' cache
  // What others took is looked at now and then: it costs as much as a hundred products.
  Disturbance disturbance_;
  uint64_t finished_at_ = 0;  // the last pass
  uint64_t look_at_ = 0;      // when to look again
  uint64_t look_every_ns_ = 0;
  uint64_t unlooked_ns_ = 0;  // time of passes since the last look
};

}  // namespace headrace
