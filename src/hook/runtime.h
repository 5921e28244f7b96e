// What the library knows about the process that it lives in: the configuration, the models that were
// loaded, and the executor of those that stream.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/config.h"
#include "exec/executor.h"
#include "exec/ggml_api.h"
#include "exec/kv_store.h"
#include "exec/mapping_table.h"
#include "hook/engines.h"
#include "memory/weights_allowance.h"
#include "telemetry/snapshot.h"

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

  // A model file's header is about to be read by this thread: decides whether the model streams.
  // `caller` is code of the engine, through which its functions are found.
  void OnModelHeader(const std::string& path, void* caller) noexcept;
  // True when the model that this thread loads at present streams.
  bool loading_streams() const;

  // A regular file that starts with the GGUF magic is about to be mapped: true when it is to stream.
  bool StreamsFile(int fd, void* caller) noexcept;
  // It was mapped.
  void OnMapped(const void* address, uint64_t bytes, int fd, uint64_t offset, void* caller) noexcept;
  void OnUnmap(const void* address, uint64_t bytes) noexcept;
  // Whether the range belongs to a streaming model.
  bool Streams(const void* address, uint64_t bytes) const;
  // A model was found too large to stay in memory, and was not mapped yet.
  bool awaits_mapping() const { return awaits_mapping_.load(std::memory_order_relaxed); }
  // Says once that it was read into memory instead.
  void NoteUnmapped() noexcept;
  bool any_streams() const { return any_streams_.load(std::memory_order_acquire); }

  // The tensors of a context are about to be allocated; a KV cache may get a file. Null: it cannot be had.
  using AllocateFunction = ggml_backend_buffer_t (*)(ggml_context*, ggml_backend_buffer_type_t);
  ggml_backend_buffer_t AllocateTensors(ggml_context* context, ggml_backend_buffer_type_t type, AllocateFunction allocate,
                                        void* caller) noexcept;
  // Null until the first KV cache for which a folder was given.
  KvStore* kv_store() const { return kv_in_use_.load(std::memory_order_acquire); }

  void SetHostCallback(ggml_backend_sched_t sched, HostCallback callback);
  void ForgetScheduler(ggml_backend_sched_t sched);
  ggml_status Compute(ggml_backend_sched_t sched, ggml_cgraph* graph, Executor::ComputeFunction compute) noexcept;

  const Snapshot& snapshot() const { return *snapshot_; }

 private:
  struct Model {
    uint32_t number = 0;
    std::vector<FileIdentity> files;
    uint64_t weight_bytes = 0;
    bool streams = false;
    std::shared_ptr<const GgmlApi> engine;                     // that loads it
    uint64_t mapped_ranges = 0;
  };

  Runtime();
  void Leave() noexcept;
  void Use(const Config& config);
  ggml_status ComputeWeights(ggml_backend_sched_t sched, ggml_cgraph* graph, Executor::ComputeFunction compute,
                             const HostCallback& host);
  std::shared_ptr<const GgmlApi> FindEngine(void* caller);     // needs mutex_
  void MakeKvStore();                                          // needs mutex_
  void CountPassive();                                         // needs mutex_
  void Publish();                                              // needs mutex_
  Model* FindModel(FileIdentity file, const GgmlApi* engine);  // needs mutex_
  Model* Judge(const std::string& path, std::shared_ptr<const GgmlApi> engine);  // needs mutex_
  void ChooseStreamingEngine();                                // needs mutex_
  void Note(const Status& status);                             // needs mutex_

  static std::atomic<bool> has_mappings_;

  std::atomic<bool> enabled_{false};
  std::atomic<bool> any_streams_{false};
  std::atomic<bool> awaits_mapping_{false};
  std::atomic<bool> keeps_kv_{false};
  std::atomic<KvStore*> kv_in_use_{nullptr};
  MappingTable mappings_;                                      // of streaming models
  MappingTable passive_mappings_;                              // of models that fit
  Engines engines_;
  SnapshotWriter snapshot_;
  bool own_snapshot_ = false;                                  // its file is ours to remove

  mutable std::mutex mutex_;                                   // guards all below
  Config config_;
  bool model_seen_ = false;
  std::unique_ptr<WeightsAllowance> allowance_;               // from the first model on
  std::shared_ptr<const GgmlApi> streaming_engine_;            // the one that executor_ works for; null while none streams
  std::list<Model> models_;
  std::string unmapped_path_;                                  // of the model that awaits_mapping_
  uint32_t next_model_ = 0;
  std::shared_ptr<Executor> executor_;                         // shared: a thread may compute with it while
                                                               // another unloads the last model
  std::unique_ptr<KvStore> kv_store_;                          // never reset
  std::unordered_map<ggml_backend_sched_t, HostCallback> host_callbacks_;
};

}  // namespace headrace
