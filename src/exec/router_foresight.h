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
    const ggml_tensor* bias = nullptr;  // added, one for each expert
  };
  const ggml_tensor* product = nullptr;  // null: not found; a MUL_MAT of the router's weight
  std::vector<Step> steps;               // in the order of the computation
};
// Walks back from ids, at most a score of nodes. Finds none with an engine whose sigmoid is not known.
RouterPath FindRouter(const GgmlApi& api, const ggml_tensor& ids, uint32_t experts);

// The scores that a router gives its experts for a hidden state, computed in pieces of its rows.
class Foresight {
 public:
  // The router's product becomes at most so many pieces. `hidden` is [width], F32; all outlive the computation. False,
  // and no pieces: the router's weight is not all in memory, or does not fit to the hidden state.
  bool Begin(const RouterPath& path, const Weight& router, const ggml_tensor& hidden, size_t most_pieces);
  size_t pieces() const { return pieces_; }
  // Different pieces on different threads, each with a product and a backend of its own.
  ggml_status Multiply(size_t piece, Product& product, ggml_backend_t backend);
  // All pieces have been computed: the `count` experts with the highest scores, the highest first.
  std::vector<uint32_t> Best(size_t count);

 private:
  const RouterPath* path_ = nullptr;
  const Weight* router_ = nullptr;
  ggml_tensor weight_, columns_, node_;
  std::vector<float> scores_;
  uint64_t piece_rows_ = 0;
  size_t pieces_ = 0;
};

}  // namespace headrace
