#include "memory/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/size.h"

namespace headrace {

Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      what_(std::move(other.what_)) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    Release();
    budget_ = std::exchange(other.budget_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    what_ = std::move(other.what_);
  }
  return *this;
}

Status Reservation::Grow(uint64_t bytes) {
  if (budget_ == nullptr) return Status(Code::kInternal, "an empty reservation cannot grow");
  HEADRACE_RETURN_IF_ERROR(budget_->Charge(bytes, what_));
  bytes_ += bytes;
  return Status();
}

Status Reservation::Shrink(uint64_t bytes) {
  if (bytes > bytes_) {
    return Status(Code::kInternal, fmt::format("{}: cannot give {} back, {} are reserved", what_, FormatSize(bytes),
                                               FormatSize(bytes_)));
  }
  if (budget_ != nullptr) budget_->Refund(bytes);
  bytes_ -= bytes;
  return Status();
}

void Reservation::Release() {
  if (budget_ != nullptr) budget_->Refund(bytes_);
  budget_ = nullptr;
  bytes_ = 0;
}

Result<Reservation> Budget::Reserve(uint64_t bytes, std::string_view what) {
  HEADRACE_RETURN_IF_ERROR(Charge(bytes, what));
  return Reservation(this, bytes, what);
}

uint64_t Budget::limit() const {
  std::lock_guard lock(mutex_);
  return limit_bytes_;
}

void Budget::SetLimit(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  limit_bytes_ = bytes;
}

uint64_t Budget::used() const {
  std::lock_guard lock(mutex_);
  return used_bytes_;
}

uint64_t Budget::peak() const {
  std::lock_guard lock(mutex_);
  return peak_bytes_;
}

Status Budget::Charge(uint64_t bytes, std::string_view what) {
  uint64_t used = 0, limit = 0, left = 0;
  {
    std::lock_guard lock(mutex_);
    left = limit_bytes_ - std::min(limit_bytes_, used_bytes_);
    if (bytes <= left) {
      used_bytes_ += bytes;
      peak_bytes_ = std::max(peak_bytes_, used_bytes_);
      return Status();
    }
    used = used_bytes_;
    limit = limit_bytes_;
  }
  return Status(Code::kOutOfBudget,
                fmt::format("{} needs {}, but {} of the limit of {} are in use: {} are left", what, FormatSize(bytes),
                            FormatSize(used), FormatSize(limit), FormatSize(left)));
}

void Budget::Refund(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  used_bytes_ -= bytes;
}

}  // namespace headrace
