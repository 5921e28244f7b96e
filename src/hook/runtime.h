// What the library knows about the process that it lives in: the configuration, the models that were loaded, and the
// executor of those that stream. Its sources: runtime.cpp (configuration, engine, memory), runtime_models.cpp
// (loading), runtime_compute.cpp, runtime_uploads.cpp and runtime_kv.cpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/config.h"
#include "exec/executor.h"
#include "exec/ggml_api.h"
#include "exec/kv_store.h"
#include "hook/damaged_buffers.h"
#include "hook/engines.h"
#include "hook/model_registry.h"
#include "hook/published_snapshot.h"
#include "hook/scheduler_callbacks.h"
#include "memory/weights_allowance.h"

namespace headrace {

// Thread-safe. Never destroyed: the host may compute while the process exits.
class Runtime {
 public:
  static Runtime& Get();
  // Whether any model is mapped: a cheap question for seams that every program calls.
  static bool HasMappings() { return has_mappings_.load(std::memory_order_acquire); }

  // False without a configuration and after an engine was found that headrace does not fit: every seam
  // then passes straight through.
  bool enabled() const { return enabled_.load(std::memory_order_relaxed); }

  // Whether anything was asked of the library: weights that may stream, or a folder for KV caches.
  bool watches() const { return enabled() || keeps_kv_.load(std::memory_order_relaxed); }

  // For programs that link the library. Error: kInvalidArgument after the first model.
  Status Configure(const Config& config);

  // Replaces the limit on weights, also while models compute.
  void SetWeightsLimit(uint64_t bytes);

  // This thread is about to read the header of a file: the memory for weights, before what it allocates for that. None:
  // nothing streams. `caller` is code of the engine, through which its functions are found.
  std::optional<uint64_t> BeforeModelHeader(void* caller) noexcept;
  // It has read it: decides whether the model streams. `weight_bytes` of the file are what the engine made of its
  // header; none: not known.
  void OnModelHeader(const FileVersion& file, const std::string& path, std::optional<uint64_t> weight_bytes,
                     uint64_t room) noexcept;
  // True when the model that this thread loads at present streams.
  bool loading_streams() const;

  // A regular file that starts with the GGUF magic is about to be mapped by code of the engine at `caller`: the engine
  // when it is to stream, else null.
  std::shared_ptr<const GgmlApi> StreamingEngineOf(int fd, void* caller) noexcept;
  // It was mapped; `engine` is what was said before. The kernel is told not to read ahead in it when it streams.
  void OnMapped(const void* address, uint64_t bytes, int fd, uint64_t offset,
                const std::shared_ptr<const GgmlApi>& engine) noexcept;
  // Waits for no pass: hosts unmap, and free models, while other models compute, and in the callbacks of those.
  void OnUnmap(const void* address, uint64_t bytes) noexcept;
  // A tensor got its address, which may lie in a mapping.
  void OnTensor(const ggml_tensor& tensor) noexcept;
  // Whether weights in the range stream.
  bool Streams(const void* address, uint64_t bytes) const;
  // A model was found too large to stay in memory, and was not mapped yet.
  bool awaits_mapping() const { return awaits_mapping_.load(std::memory_order_relaxed); }
  // Says once that it was read into memory instead.
  void NoteUnmapped() noexcept;
  bool any_streams() const { return any_streams_.load(std::memory_order_acquire); }

  // The tensors of a context are about to be allocated; a KV cache may get a file. Null: it cannot be had.
  using AllocateFunction = ggml_backend_buffer_t (*)(ggml_context*, ggml_backend_buffer_type_t);
  ggml_backend_buffer_t AllocateTensors(ggml_context* context, ggml_backend_buffer_type_t type,
                                        AllocateFunction allocate, void* caller) noexcept;
  // Null until the first KV cache for which a folder was given.
  KvStore* kv_store() const { return kv_in_use_.load(std::memory_order_acquire); }

  // The scheduler is about to allocate a graph; `compute` is the function with which its engine computes.
  void BeforeAllocation(ggml_backend_sched_t sched, ggml_cgraph* graph, Executor::ComputeFunction compute) noexcept;
  // The scheduler is about to have a weight at that address copied to a device.
  void BeforeUpload(const void* data) noexcept;
  // The engine sets `bytes` of `to`, which lies on a device, from `data`: does it in its place, as they are read, when
  // what `backend` (null: none) still computes has ended. False: they are not of a model that streams. After a failure
  // outside of a pass nothing is read for, and nothing computes with, what lies in that buffer any more.
  bool Upload(ggml_backend_t backend, ggml_tensor& to, const void* data, uint64_t offset, uint64_t bytes) noexcept;
  // The same of all bytes of a tensor that are worth more than a page fault.
  bool UploadWhole(ggml_backend_t backend, const ggml_tensor& from, ggml_tensor& to) noexcept;
  // Whether the graph uses a buffer to which weights could not be uploaded; says so.
  bool Damaged(ggml_cgraph* graph, Executor::ComputeFunction compute) noexcept;
  DamagedBuffers& damaged_buffers() { return damaged_; }

  SchedulerCallbacks& callbacks() { return callbacks_; }
  void ForgetScheduler(ggml_backend_sched_t sched);
  ggml_status Compute(ggml_backend_sched_t sched, ggml_cgraph* graph, Executor::ComputeFunction compute) noexcept;

  const Snapshot& snapshot() const { return *snapshot_; }

 private:
  Runtime();
  void Leave() noexcept;
  void Use(const Config& config);
  ggml_status ComputeWeights(const std::shared_ptr<const GgmlApi>& engine, ggml_backend_sched_t sched,
                             ggml_cgraph* graph, Executor::ComputeFunction compute, const HostCallback& host);
  std::shared_ptr<const GgmlApi> FindEngine(void* caller);  // needs making_mutex_
  WeightsAllowance& Allowance();                            // needs making_mutex_
  ModelRegistry::Verdict Judge(const FileVersion& file, const std::string& path, std::optional<uint64_t> weight_bytes,
                               uint64_t room);  // needs making_mutex_
  std::shared_ptr<Executor> ExecutorFor(const std::shared_ptr<const GgmlApi>& engine);
  void CountModels();                                 // needs mutex_
  std::shared_ptr<Executor> ChooseStreamingEngine();  // needs mutex_
  Config ConfigNow() const;
  void Note(const Status& status);

  static std::atomic<bool> has_mappings_;

  std::atomic<bool> enabled_{false};
  std::atomic<bool> any_streams_{false};
  std::atomic<bool> awaits_mapping_{false};
  std::atomic<bool> keeps_kv_{false};
  std::atomic<KvStore*> kv_in_use_{nullptr};
  ModelRegistry models_;
  ExpertStacks stacks_;
  Engines engines_;
  DamagedBuffers damaged_;
  SchedulerCallbacks callbacks_;
  PublishedSnapshot snapshot_;

  // Held while the engine is found, a model is judged and something is made that then stays. Locked before mutex_, and
  // never where something is unmapped or freed.
  std::mutex making_mutex_;
  std::unique_ptr<KvStore> kv_store_;  // guarded by making_mutex_; never reset

  // Held for moments: nothing that waits, calls the engine or allocates much is done meanwhile.
  mutable std::mutex mutex_;  // guards all below
  Config config_;             // but for the limit on weights it stays what it is from the first model on
  bool model_seen_ = false;
  std::unique_ptr<WeightsAllowance> allowance_;                              // from the first model on; never reset
  std::set<std::pair<uint32_t, std::shared_ptr<const GgmlApi>>> streaming_;  // models, and the engines that mapped them
  std::shared_ptr<const GgmlApi> streaming_engine_;  // the one that executor_ works for; null while none streams
  std::string unmapped_path_;                        // of the model that awaits_mapping_
  std::shared_ptr<Executor> executor_;               // shared: a thread may compute with it while
                                                     // another unloads the last model
};

}  // namespace headrace
