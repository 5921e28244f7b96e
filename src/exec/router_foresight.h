// Foresees which experts a layer will choose, before its turn: its router applied to the hidden state that the
// layer before it sees. (Eliseev and Mazur 2023, "Fast Inference of Mixture-of-Experts Language Models with
// Offloading", section 3.2.)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "exec/ggml_api.h"
#include "exec/pass.h"
#include "exec/product.h"

namespace headrace {

// How a graph comes from a router's product to the ids that it chose, as far as it decides the order of scores.
struct RouterPath {
  struct Step {
    bool sigmoid = false;
    const ggml_tensor* bias = nullptr;   // added, one for each expert
  };
  const ggml_tensor* product = nullptr;  // null: not found; a MUL_MAT of the router's weight
  std::vector<Step> steps;               // in the order of the computation
};
// Walks back from ids, at most a score of nodes. Finds none with an engine whose sigmoid is not known.
RouterPath FindRouter(const GgmlApi& api, const ggml_tensor& ids, uint32_t experts);

// The `count` experts with the highest scores, the highest first, for `hidden` [width], F32. Empty when the router's
// weight is not all in memory, or does not fit to the hidden state. Computes with `product`.
std::vector<uint32_t> ForeseeExperts(Product& product, ggml_backend_t backend, const RouterPath& path, const Weight& router,
                                     const ggml_tensor& hidden, size_t count);

}  // namespace headrace
