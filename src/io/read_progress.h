// What becomes of one request: how far it got, whether it is read on, tried again or finished. The rules
// of the Reader contract in one place, for every implementation.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "io/reader.h"

namespace headrace {

// kInvalidArgument for a request that breaks the rules of ReadRequest.
Status CheckRequest(const ReadRequest& request);

// A value; one thread at a time.
class ReadProgress {
 public:
  ReadProgress() = default;
  // The request passed CheckRequest.
  explicit ReadProgress(const ReadRequest& request) : request_(request) {}

  const ReadRequest& request() const { return request_; }

  // What to read next, all multiples of kReadAlignment.
  uint64_t offset() const { return request_.offset + done_; }
  uint32_t length() const { return request_.length - done_; }
  std::byte* destination() const { return static_cast<std::byte*>(request_.destination) + done_; }

  // Takes the result of such a read, as of read(2): bytes, 0 at the end of the file, or -errno.
  // True when the request is finished with status().
  [[nodiscard]] bool Advance(int64_t result);

  const Status& status() const { return status_; }
  unsigned retries() const { return retries_; }

 private:
  bool Fail(Status status);
  Status EndedEarly(uint64_t end) const;

  ReadRequest request_;
  uint32_t done_ = 0;  // whole pages; fewer bytes than length
  int failures_ = 0;
  int interruptions_ = 0;
  unsigned retries_ = 0;
  Status status_;
};

}  // namespace headrace
