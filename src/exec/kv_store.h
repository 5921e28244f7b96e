// The KV caches of this process, of whichever engine: those larger than the memory meant for them live in files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/config.h"
#include "exec/callback_pass.h"
#include "exec/ggml_api.h"
#include "kv/kv_file.h"
#include "kv/kv_pager.h"
#include "memory/weights_allowance.h"
#include "telemetry/snapshot.h"

namespace headrace {

// Thread-safe. Passes of several threads whose KV caches are in files run one after the other.
class KvStore {
 public:
  // The references outlive the store. `config` names the folder, `ram_bytes` is for all KV caches together. `allowance`
  // is told what of it caches in files take.
  KvStore(const Config& config, uint64_t ram_bytes, WeightsAllowance& allowance, SnapshotWriter& snapshot);

  // Whether the context's tensors, not yet allocated, are a KV cache for this type of memory, the CPU's.
  bool IsKvCache(const GgmlApi& api, ggml_context* context, ggml_backend_buffer_type_t type) const;

  // Allocates the tensors of a KV cache in a file; null where the cache fits the memory meant for all of them, and
  // the engine shall allocate it itself, which Keep() then reports. Errors: KvFile's; kOutOfBudget when the disk or
  // the memory that was allowed does not suffice.
  Result<ggml_backend_buffer_t> Allocate(const GgmlApi& api, ggml_context* context);
  void Keep(const GgmlApi& api, ggml_backend_buffer_t buffer);

  // Sets all bytes of a cache in a file; false: it is none, or that failed. Waits for a pass that uses it, and for no
  // other.
  bool Fill(ggml_backend_buffer_t buffer, uint8_t value);
  // The buffer goes: `free` is the engine's own function. Any buffer. Waits for no pass, since hosts free in one, too:
  // a file goes at once when no pass runs, else when that has ended.
  void Free(ggml_backend_buffer_t buffer, void (*free)(ggml_backend_buffer_t));

  // Computes the graph by `compute`, which installs the callback that it is given, or the host's own where no
  // KV cache needs any.
  using ComputeFunction = std::function<ggml_status(const HostCallback&)>;
  ggml_status Compute(const GgmlApi& api, ggml_backend_sched_t sched, ggml_cgraph* graph, const HostCallback& host,
                      const ComputeFunction& compute) noexcept;

 private:
  struct CacheSize {
    uint64_t bytes = 0;
    uint64_t layer_bytes = 0;  // of the largest layer, which is in memory as a whole during its turn
  };
  struct Cache {
    ggml_backend_buffer_t buffer = nullptr;
    CacheSize size;
    std::unique_ptr<KvFile> file;  // null: in the engine's memory
  };
  // Names the files of a pass while it runs.
  class FilesInPass {
   public:
    FilesInPass(KvStore& store, const std::vector<KvLayer>& layers);
    ~FilesInPass();

   private:
    KvStore& store_;
  };
  static CacheSize SizeOf(const GgmlApi& api, ggml_context* context);
  Status CheckLimits(const CacheSize& size) const;  // needs mutex_
  const KvFile* Find(const void* address) const;    // needs mutex_
  uint64_t Sum(bool in_files) const;                // needs mutex_
  uint64_t Left() const;                            // of ram_bytes_, for caches in files; needs mutex_
  uint64_t CachedBytes() const;
  ggml_status Fail(const Status& status);
  ggml_status RunPass(const GgmlApi& api, ggml_backend_sched_t sched, ggml_cgraph* graph, const HostCallback& host,
                      const ComputeFunction& compute);
  Cache* FindCache(ggml_backend_buffer_t buffer);  // needs mutex_
  void Publish();                                  // needs mutex_
  bool FillFile(KvFile& file, uint8_t value);      // needs mutex_
  void DropFreed();                                // needs pass_mutex_
  void DropFreedUnlessBusy();

  const Config config_;
  const uint64_t ram_bytes_;
  WeightsAllowance& allowance_;
  SnapshotWriter& snapshot_;

  std::mutex pass_mutex_;     // one pass at a time; locked before mutex_
  mutable std::mutex mutex_;  // guards all below
  std::vector<Cache> caches_;
  std::vector<const KvFile*> in_pass_;          // files that the pass which runs uses
  std::vector<std::unique_ptr<KvFile>> freed_;  // of caches that are gone; the pager may still know them
  std::unique_ptr<KvPager> pager_;              // made with the first file
};

}  // namespace headrace
