// Measures KernelCosts: on first use of a type of weights, on about a mebibyte made of a few of its rows, with a
// backend that no host has a part in. Takes 10 to 30 ms; after 50 it is given up.
#pragma once

#include <optional>

#include "exec/expert_product.h"
#include "exec/kernel_costs.h"
#include "exec/product.h"
#include "exec/weight_store.h"

namespace headrace {

// The weight has a packed layout. Null: other programs have so much of the processor that nothing can be measured.
// Reads at most 192 rows of it from its mapping. Products of MUL_MAT.
std::optional<KernelCosts> MeasureKernels(const GgmlApi& api, Product& product, ggml_backend_t backend,
                                          const Weight& weight);

// The same for an expert: products of MUL_MAT_ID, whose columns are the tokens that chose it.
std::optional<KernelCosts> MeasureExpertKernels(const GgmlApi& api, ExpertProduct& product, ggml_backend_t backend,
                                                const Weight& weight);

}  // namespace headrace
