// What the engine's kernels can be trusted with, by type of weights: to give the same bits for pieces as for the whole
// (cut_check.h), and what they cost (kernel_timing.h). Found out on first use of a type with backends of our own, which
// no host stops or slows down.
#pragma once

#include <map>
#include <set>
#include <tuple>

#include "exec/expert_product.h"
#include "exec/ggml_api.h"
#include "exec/kernel_choice.h"
#include "exec/product.h"
#include "exec/weight_store.h"

namespace headrace {

// One owner.
class EngineTrust {
 public:
  // All outlive it. Enters the types whose results must be computed apart.
  EngineTrust(const GgmlApi& api, KernelChoice& choice, ApartTypes& apart);
  ~EngineTrust();
  EngineTrust(const EngineTrust&) = delete;
  EngineTrust& operator=(const EngineTrust&) = delete;

  // Whether products of such a weight may be computed in pieces. Where not, a line says so once for the type.
  bool MayCut(const Weight& weight);

 private:
  bool Check(const Weight& weight);
  void LookAtPairs(const Weight& weight);
  void LearnCosts(const Weight& weight);

  const GgmlApi& api_;
  KernelChoice& choice_;
  ApartTypes& apart_;
  ggml_backend_t backend_ = nullptr;  // made when it is needed first
  std::map<std::tuple<ggml_type, bool, ggml_backend_buffer_t>, bool>
      trusted_;  // type, of experts, the packed layout's kernels
  std::set<ggml_type> looked_at_;
};

}  // namespace headrace
