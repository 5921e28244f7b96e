// What is known of a request once it was answered, or its client is gone: for logs and sums.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "http/net.h"

namespace headrace::serve {

struct RequestRecord {
  // Since when the request was whole, or was refused.
  std::chrono::system_clock::time_point time = std::chrono::system_clock::now();
  Clock::time_point begin = Clock::now();
  std::string remote;          // address of the client, "" when it has left already
  std::string method, target;  // as they were sent, "" for what is no HTTP
  std::string path;            // decoded, without a proxy's prefix; "" where it is malformed
  int status = 0;              // 0: no answer has begun
  uint64_t bytes = 0;          // of the answer's body that were written
  bool gone = false;           // the client left before the end of its answer
  bool broken = false;         // the answer could not be completed
  std::optional<Clock::time_point> first_byte;
  // Of requests for a model.
  std::string model;
  std::optional<Clock::time_point> computed_from;  // handed to the model's process
  std::optional<uint64_t> tokens_in, tokens_out;   // as the process told them
};

}  // namespace headrace::serve
