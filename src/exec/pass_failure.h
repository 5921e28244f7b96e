// What a pass fails with for reasons of its own, whoever computes it. No product, weight or file is at fault.
#pragma once

#include <exception>

#include <fmt/format.h>

#include "base/status.h"

namespace headrace {

// Our own code threw: memory, mostly.
inline Status GivenUp(const std::exception& error) {
  return Status(Code::kInternal, fmt::format("the pass was given up: {}", error.what()));
}

// The engine came to a product whose turn it is not.
inline Status OtherOrder() {
  return Status(Code::kUnsupported,
                "this llama.cpp computes a graph in another order than the graph says; nothing of it can be streamed");
}

}  // namespace headrace
