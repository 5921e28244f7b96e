// The account of memory: every byte that headrace holds was charged here before it was allocated, so the
// limit that the user gave cannot be exceeded, only refused.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "base/status.h"

namespace headrace {

class Budget;

// Bytes charged to a Budget, given back when it goes out of scope. Move-only; an empty one holds nothing.
// One owner at a time. Give the memory back to the system before the reservation that pays for it: as a
// member, declare the Reservation before what it pays for.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation() { Release(); }

  uint64_t bytes() const { return bytes_; }
  const std::string& what() const { return what_; }

  // Charges that many bytes more; on kOutOfBudget nothing has changed. kInternal for an empty one.
  Status Grow(uint64_t bytes);
  // Gives that many bytes back. kInternal, and nothing changed, when it holds fewer.
  Status Shrink(uint64_t bytes);
  // Gives everything back; the reservation is then empty.
  void Release();

 private:
  friend class Budget;
  Reservation(Budget* budget, uint64_t bytes, std::string_view what) : budget_(budget), bytes_(bytes), what_(what) {}

  Budget* budget_ = nullptr;  // outlives this
  uint64_t bytes_ = 0;
  std::string what_;
};

// Thread-safe. Outlives its reservations.
class Budget {
 public:
  explicit Budget(uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  // Charges `bytes` for `what` ("ring", "resident weights"). Errors: kOutOfBudget with the arithmetic.
  Result<Reservation> Reserve(uint64_t bytes, std::string_view what);

  uint64_t limit() const;
  // From now on. When more is in use, nothing is taken away: charges are refused until it is below.
  void SetLimit(uint64_t bytes);
  uint64_t used() const;
  // The most that was ever in use at once.
  uint64_t peak() const;

 private:
  friend class Reservation;
  Status Charge(uint64_t bytes, std::string_view what);
  void Refund(uint64_t bytes);

  mutable std::mutex mutex_;
  uint64_t limit_bytes_;     // guarded by mutex_
  uint64_t used_bytes_ = 0;  // guarded by mutex_
  uint64_t peak_bytes_ = 0;  // guarded by mutex_
};

}  // namespace headrace
