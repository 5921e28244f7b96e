// The experts of a mixture-of-experts model that are in memory: a fixed number of slots, each with all
// slices (gate, up, down) of one expert of one layer. What is absent is read; a slot
// goes from loading to ready, or is given up when a read failed: its bytes can then never be used.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "base/status.h"
#include "experts/expert_heat.h"
#include "experts/heat_mixture.h"
#include "experts/slot_division.h"
#include "io/read_service.h"
#include "memory/headroom.h"
#include "memory/region.h"

namespace headrace {

// The bytes of one layer's experts in one weight: expert e is [offset + e * bytes, offset + (e + 1) * bytes).
struct ExpertSlices {
  const SourceFile* file = nullptr;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  friend bool operator==(const ExpertSlices&, const ExpertSlices&) = default;
};

// The weights of one layer whose experts one router chooses together, in the order of their use.
struct ExpertLayout {
  std::vector<ExpertSlices> slices;
  uint32_t experts = 0;
  uint32_t per_token = 1;  // that a token chooses
  friend bool operator==(const ExpertLayout&, const ExpertLayout&) = default;

  // Memory for one expert: each slice lies as it does in the file within a page, and is read in whole pages.
  uint64_t SlotBytes() const;
};

// One expert of one layer.
struct ExpertName {
  uint32_t layer = 0;
  uint32_t expert = 0;
};

// Slots of one size as an array of equally spaced matrices: a slice of each, wherever it begins.
struct SlotArray {
  const uint8_t* first = nullptr;
  uint64_t stride = 0;  // bytes
  uint32_t count = 0;
};

// One thread at a time uses a cache.
class ExpertCache final : private ReadClient {
 public:
  // The bytes of one read and the number in flight that reach the speed of the disk.
  static constexpr uint32_t kChunkBytes = 1024 * 1024;
  static constexpr size_t kDepth = 8;
  // The bytes of one read ahead (Prefetch), so that a read on demand soon has the disk to itself.
  static constexpr uint32_t kPrefetchChunkBytes = 256 * 1024;
  // Tokens after which a use counts half of what is worth knowing in the next run.
  static constexpr double kPopularityHalfLife = 1024;
  // Tokens after which it is looked whether memory should move to slots of another size.
  static constexpr double kDivideTokens = 32;

  // `arena_bytes` of memory, which the caller has paid for, are divided among the layers: those of equal slot
  // size share slots, and each size has as many as heat gives it (DivideSlots). Address space is reserved for all
  // experts. `reads` and files must outlive the cache, and so must `headroom`: slots that were never used stay so where
  // it has no room. Null: there is always room. Errors: of the system.
  static Result<std::unique_ptr<ExpertCache>> Start(ReadService& reads, std::vector<ExpertLayout> layers,
                                                    uint64_t arena_bytes, Headroom* headroom = nullptr);
  // Waits for the reads in flight.
  ~ExpertCache() override;
  ExpertCache(const ExpertCache&) = delete;
  ExpertCache& operator=(const ExpertCache&) = delete;

  // Grows or shrinks to that much memory. The hottest experts stay, some of them at another place: there must be no
  // pins. What is being read ahead may be forgotten. Errors: of the system; the cache is then no larger than before.
  Status Resize(uint64_t arena_bytes);

  const std::vector<ExpertLayout>& layers() const { return layers_; }
  // Slots that the experts of a layer can use.
  uint32_t slots(uint32_t layer) const;
  // The expert is in memory, or on its way there, be it that its reads wait for others.
  bool Holds(uint32_t layer, uint32_t expert) const;
  // All of it is in memory.
  bool Ready(uint32_t layer, uint32_t expert) const;

  // Experts of one layer that stay in memory as long as this lives. Goes before its cache.
  class Pins {
   public:
    Pins() = default;
    Pins(Pins&& other) noexcept { *this = std::move(other); }
    Pins& operator=(Pins&& other) noexcept;
    ~Pins() { Release(); }

    size_t size() const { return slots_.size(); }
    uint32_t expert(size_t i) const;
    // The bytes of the i-th expert in a slice, null until they have arrived.
    const uint8_t* data(size_t i, size_t slice) const;
    // The array that it is an element of, and its place there. Experts are in the same array when its `first` is
    // the same: their slices then begin at the same place within a page.
    SlotArray array(size_t i, size_t slice) const;
    uint32_t place(size_t i) const;
    // Arrived bytes may be converted once, where they are: Convert remembers it and returns them. One whose
    // conversion fails is forgotten when its pins go, after Spoil.
    bool converted(size_t i, size_t slice) const { return cache_->slots_[slots_[i]].slices[slice].converted; }
    uint8_t* Convert(size_t i, size_t slice);
    void Spoil(size_t i);
    // Blocks until one of `waiting` (indices below size()) has arrived. Errors: the read's.
    Status WaitForAny(size_t slice, std::span<const size_t> waiting) const;
    void Release();

   private:
    friend class ExpertCache;
    ExpertCache* cache_ = nullptr;
    std::vector<uint32_t> slots_;
  };

  // A pass begins that computes so many tokens; each layer will demand what so many of them choose together. There must
  // be no pins: from time to time memory moves to slots of another size, whose experts have become hotter, as with
  // Resize.
  void BeginPass(double tokens, uint32_t together = 1);
  // Moves memory to slots of another size now, where heat says so. There must be no pins.
  void Divide();
  // The expert was chosen by that many of them.
  void Touch(uint32_t layer, uint32_t expert, double tokens);
  // Decides who goes first (HeatMixture).
  double Heat(uint32_t layer, uint32_t expert) const { return heat_[first_expert_[layer] + expert]; }
  // What Touch says, remembered longer.
  double Popularity(uint32_t layer, uint32_t expert) const { return popularity_[first_expert_[layer] + expert]; }
  // The popularity that an earlier cache knew, and the heat of an expert that is used as steadily.
  void Recall(uint32_t layer, uint32_t expert, double popularity);

  // All of these experts, each named once. Absent ones are requested together, the first slice of all before
  // the second, in the place of the coldest experts that are not pinned. Errors: kOutOfBudget when that needs
  // more slots than there are without pins, or than have memory where there is no headroom; nothing has changed then.
  Result<Pins> Demand(uint32_t layer, std::span<const uint32_t> experts);
  // Those of the experts that are in memory or on their way there; reads of theirs that wait go first from now on.
  Pins PinHeld(uint32_t layer, std::span<const uint32_t> experts);
  // Reads experts ahead, the first first, while nobody waits for a read: into free slots, or also those of the coldest
  // experts that are not pinned and not among those named. They are not pinned and can be given up again before they
  // are read. One that is demanded meanwhile is read on demand from then on. One whose read fails is forgotten, unless
  // it was demanded: then it is read once more. Returns for how many there was room.
  enum class Into { kFreeSlots, kColdestToo };
  size_t Prefetch(std::span<const ExpertName> experts, Into into = Into::kFreeSlots);
  // Forgets what was to be read ahead and is not being read yet.
  void DropPrefetches();
  // Slots of a layer's class that hold nothing.
  uint32_t free_slots(uint32_t layer) const;
  // Some slot of any class holds nothing.
  bool HasFreeSlots() const;

  uint64_t bytes_read() const;
  uint64_t ready_bytes() const;  // of experts in memory

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  // Slots of one size: as many as there are experts, of which the first `slots` have memory.
  struct Class {
    uint64_t slot_bytes = 0;
    uint64_t arena_offset = 0;
    uint32_t first_slot = 0;
    uint32_t most = 0;
    uint32_t slots = 0;

    uint64_t expert_bytes() const { return slot_bytes * most; }
  };
  struct Slice {
    uint64_t lead = 0;    // of its first byte in the first page
    uint64_t span = 0;    // whole pages
    uint64_t issued = 0;  // bytes of them handed to the reader
    uint64_t finished = 0;
    bool arrived = false;
    bool converted = false;  // the user's thread alone
  };
  struct Slot {
    uint32_t owner_class = 0;
    uint32_t layer = 0;
    uint32_t expert = kNone;  // kNone: free
    uint32_t pins = 0;
    uint32_t missing = 0;   // slices that have not arrived
    bool touched = false;   // its memory was used: it takes no more when it is used again
    bool prefetch = false;  // nobody waits for them: what is unread is asked for in prefetches_ alone
    Status error;
    std::vector<Slice> slices;
    bool idle() const;  // nothing is read into it, nor will be without being asked for again
  };
  // A read that the reader has, or is to get once more. Its tag is the index in flights_.
  struct Flight {
    uint32_t slot = kNone;  // kNone: there is none
    uint32_t slice = 0;
    bool prefetch = false;  // nobody waited when it began
    bool again = false;
    ReadRequest request;
  };

  // The expert of a layer that goes first.
  struct Candidate {
    bool known = false;     // it may be another one since something else became free, was read or is no longer pinned
    uint32_t slot = kNone;  // kNone: none can go
    double heat = 0;
  };

  ExpertCache(ReadService& reads, std::vector<ExpertLayout> layers, Headroom* headroom);
  void MakeSlots();
  std::vector<SlotClassNeed> Needs() const;
  Status SetSlots(const std::vector<uint32_t>& slots, std::unique_lock<std::mutex>& lock);
  void Shrink(Class& of, uint32_t slots, std::unique_lock<std::mutex>& lock);
  void Relocate(uint32_t from, uint32_t to);  // needs mutex_
  uint8_t* SliceMemory(const Slot& slot, size_t slice) const;
  uint32_t& SlotOf(uint32_t layer, uint32_t expert) { return slot_of_[first_expert_[layer] + expert]; }
  uint32_t SlotOf(uint32_t layer, uint32_t expert) const { return slot_of_[first_expert_[layer] + expert]; }
  void Occupy(uint32_t slot, uint32_t layer, uint32_t expert);  // needs mutex_
  void Empty(uint32_t slot);                                    // needs mutex_
  bool Touch(const Slot& slot, uint64_t from, uint64_t bytes) const;
  bool CanBeRead(uint32_t slot);                                         // needs mutex_
  uint32_t FreeSlot(const Class& of, uint32_t layer, bool fresh) const;  // needs mutex_
  bool CanGoNow(const Slot& slot, bool fresh) const;                     // needs mutex_
  Candidate ColdestOf(uint32_t layer, bool fresh) const;                 // needs mutex_
  uint32_t FreeOrColdest(const Class& of, uint32_t layer, bool fresh);   // needs mutex_
  uint32_t TakeSlot(uint32_t layer, uint32_t expert, bool& fresh, std::unique_lock<std::mutex>& lock);
  void Want(uint32_t layer, std::span<const uint32_t> slots);  // needs mutex_
  void Unpin(std::span<const uint32_t> slots);
  bool NextRead(ReadKind kind, ReadRequest& request) override;
  void ReadsEnded(std::span<const ReadResult> results) override;
  bool NextAgain(ReadRequest& request);                             // needs mutex_
  bool NextDemand(ReadRequest& request);                            // needs mutex_
  bool NextPrefetch(ReadRequest& request);                          // needs mutex_
  ReadRequest Begin(uint32_t slot, uint32_t slice, bool prefetch);  // needs mutex_
  void Finish(const ReadResult& result);                            // needs mutex_

  ReadService& reads_;
  Headroom* const headroom_;
  Region arena_;
  const std::vector<ExpertLayout> layers_;
  std::vector<uint32_t> first_expert_;  // of each layer, in slot_of_ and heat_
  std::vector<uint32_t> class_of_;      // of each layer
  std::vector<Class> classes_;
  HeatMixture heat_;          // the user's thread alone
  ExpertHeat popularity_;     // the user's thread alone
  uint64_t arena_bytes_ = 0;  // that slots may use; the user's thread alone, as the next ones
  uint32_t together_ = 1;     // the most tokens of a pass that demanded their experts together
  double undivided_ = 0;      // tokens since memory was last divided

  mutable std::mutex mutex_;  // guards all below
  mutable std::condition_variable progress_;
  std::vector<Slot> slots_;
  std::vector<uint8_t> free_;  // of each slot: holds nothing. Thousands of bytes are searched faster than as many slots
  std::vector<uint32_t> slot_of_;   // kNone: absent
  std::vector<Candidate> coldest_;  // of each layer, so that a search for the coldest of all looks at few experts
  std::deque<std::pair<uint32_t, uint32_t>> wanted_;  // slices to read on demand: slot, slice
  std::vector<uint32_t> prefetches_;                  // slots to read ahead; has room for all
  std::array<Flight, kDepth> flights_;
  bool needs_slot_ = false;  // somebody waits until nothing is read into one
  uint64_t bytes_read_ = 0, ready_bytes_ = 0;
};

}  // namespace headrace
