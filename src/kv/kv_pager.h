// Keeps the KV caches that live in files within the memory meant for them: a fixed share of each stays in memory,
// the rest is written out after a layer used it and read again before the layer's turn in the next pass.
//
// Attention uses each layer's keys and values once per pass in a fixed cycle, so keeping what was used last would
// have no hits at all (as with weights, docs/architecture.md).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/status.h"
#include "kv/kv_file.h"
#include "kv/page_ranges.h"

namespace headrace {

// A tensor of a KV cache and what a pass uses of it.
struct KvPart {
  const KvFile* file = nullptr;
  PageRange place;   // of the whole tensor: no other one has a page in it
  PageRanges pages;  // inside of place
};

// What is used together: as a rule the keys and values of one layer.
using KvLayer = std::vector<KvPart>;

// One pass at a time: Begin, then for each layer in order Await (as often as wanted) and Release, then End. One
// thread of its own reads and writes. Files outlive their use: Forget() before one goes.
class KvPager {
 public:
  // `ram_bytes`: the memory for all KV caches together. A layer that is larger is in memory as a whole
  // during its turn all the same. Errors: kIo when the thread cannot be started.
  static Result<std::unique_ptr<KvPager>> Start(uint64_t ram_bytes);
  ~KvPager();
  KvPager(const KvPager&) = delete;
  KvPager& operator=(const KvPager&) = delete;

  // A pass that uses the layers in this order, each tensor once. False: everything fits, there is no layer to
  // await or release. Errors: kIo, also of earlier passes: what could not be written is lost.
  Result<bool> Begin(std::vector<KvLayer> layers);
  bool Loaded(size_t layer);
  // Blocks until the layer is in memory. Errors: kIo; it must then not be touched.
  Status Await(size_t layer);
  // The first layer that was not released yet has been used.
  void Release();
  // The pass has ended, not necessarily with all layers released. Errors: kIo, its results are not to be used.
  Status End();

  void Forget(const KvFile* file);

  // Holds from the next pass on.
  void SetRam(uint64_t ram_bytes);

  // Bytes asked from the files so far, and the time that Begin and Await blocked.
  uint64_t bytes_read() const { return bytes_read_.load(std::memory_order_relaxed); }
  uint64_t wait_ns() const { return wait_ns_.load(std::memory_order_relaxed); }

 private:
  struct Tensor {
    PageRange place;
    PageRanges pages;         // of the last pass that used it
    uint64_t kept_bytes = 0;  // in memory since then
    bool in_pass = false;
  };
  // Its file and where it begins there.
  using Key = std::pair<const KvFile*, uint64_t>;

  // What is read at once.
  struct Piece {
    const KvFile* file = nullptr;
    uint64_t tensor = 0;  // where its tensor begins in the file
    PageRanges pages;
    uint64_t cold_bytes = 0;  // of pages that do not stay
  };

  struct Layer {
    KvLayer parts;
    std::vector<PageRanges> kept;  // of each part: what stays
    uint64_t cold_bytes = 0;
    size_t end = 0;  // behind its last piece
  };

  explicit KvPager(uint64_t ram_bytes) : ram_bytes_(ram_bytes) {}
  void Run();
  void EvictLayer(std::unique_lock<std::mutex>& lock);
  void BeginPiece(std::unique_lock<std::mutex>& lock);
  void LoadPiece(std::unique_lock<std::mutex>& lock);
  // All below need mutex_; Plan, CutPieces and Trim also that the thread is not busy.
  Status Plan(std::vector<KvLayer> layers, uint64_t total_bytes);
  void CutPieces(Layer& layer);
  Status Trim(const Key& key, Tensor& tensor, const PageRanges& kept);
  void WaitUntilIdle(std::unique_lock<std::mutex>& lock);
  void Reset();
  bool MayRead() const;
  bool HasWork() const;
  void Fail(const Status& status);

  std::atomic<uint64_t> bytes_read_{0};
  std::atomic<uint64_t> wait_ns_{0};

  std::mutex mutex_;                  // guards all below
  std::condition_variable work_;      // wakes the thread
  std::condition_variable progress_;  // wakes the user
  uint64_t ram_bytes_;
  std::map<Key, Tensor> tensors_;     // of all passes so far
  std::vector<const KvFile*> files_;  // of the pass
  bool paging_ = false;               // not everything fits
  // While paging, of the pass; not changed while busy_.
  std::vector<Layer> layers_;
  std::vector<Piece> pieces_;  // of all layers
  uint64_t window_bytes_ = 0;  // for what is read ahead and not yet evicted
  uint64_t in_window_bytes_ = 0;
  // Counts of pieces; beyond their number they are of the next pass, which is expected to use the same ones.
  size_t wanted_ = 0;  // somebody waits for them, even if the window is too small
  size_t begun_ = 0;   // to be read
  size_t loaded_ = 0;
  // Counts of layers.
  size_t released_ = 0;
  size_t evicted_ = 0;
  bool busy_ = false;  // the thread works, without the mutex
  bool stop_ = false;
  Status failure_;  // the first; stays until all files are forgotten

  std::thread thread_;  // last: started when all else exists
};

}  // namespace headrace
