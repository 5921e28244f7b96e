// Address space that is reserved once and backed by memory only where it was committed, so that what is
// resident or buffered can grow and shrink without ever moving.
#pragma once

#include <sys/types.h>

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/size.h"
#include "base/status.h"

namespace headrace {

inline constexpr uint64_t kHugePageBytes = 2 * kMiB;

// A private anonymous mapping, aligned to kHugePageBytes. Move-only; data() stays valid when it moves.
// Commit and Decommit need one thread at a time; committed memory is the caller's to share.
//
// Huge pages are asked for wherever a whole one is committed, also when several commits make it up, and
// nowhere else: memory in use never exceeds the committed bytes. Giving back only a part of a huge page
// lets the kernel keep the rest of it until memory is short; decommit whole ones where it matters.
//
// The mapping does not exist in a forked child. Otherwise a fork during a direct read could leave the
// data in the child's copy of the page and stale bytes in ours.
class Region {
 public:
  Region() = default;
  Region(Region&& other) noexcept;
  Region& operator=(Region&& other) noexcept;
  ~Region() { Unmap(); }

  // Reserves address space, rounded up to whole pages; nothing may be touched yet. Errors:
  // kInvalidArgument for 0 bytes, kOutOfBudget when the address space is exhausted or limited, kIo.
  static Result<Region> Reserve(uint64_t bytes);

  std::byte* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t committed_bytes() const { return committed_bytes_; }
  // Of all regions of this process together. Thread-safe.
  static uint64_t CommittedInProcess();

  // Whether memory that is committed from now on is locked (never swapped) when it is touched. Thread-safe.
  static void LockFromNowOn(bool lock);

  // Whether this process may lock so much. Errors: kOutOfBudget saying what may be locked.
  static Status MayLock(uint64_t bytes);

  // Makes every page that [offset, offset + bytes) touches readable and writable. New pages read as zero
  // and use no memory until touched; committed ones keep their content. The caller has charged the
  // pages. Errors: kInvalidArgument outside of the region, kOutOfBudget or kIo from the system, or where
  // so much may not be locked; the commitment is then as before.
  Status Commit(uint64_t offset, uint64_t bytes);

  // Gives the memory of the whole pages inside [offset, offset + bytes) back; they may not be touched
  // any more. What lies outside of the region is ignored.
  void Decommit(uint64_t offset, uint64_t bytes);

 private:
  static constexpr uint64_t kUnitBytes = 4096;  // the smallest page of any kernel
  static constexpr uint64_t kUnitsPerHuge = kHugePageBytes / kUnitBytes;

  void Unmap();
  Status Lock(uint64_t begin, uint64_t end);
  void Mark(uint64_t begin, uint64_t end, bool committed);

  std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
  uint64_t committed_bytes_ = 0;
  pid_t owner_ = 0;                                    // the process that mapped it
  std::vector<std::bitset<kUnitsPerHuge>> committed_;  // for each huge page, its committed units
};

}  // namespace headrace
