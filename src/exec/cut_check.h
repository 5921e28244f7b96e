// A safeguard against an engine whose kernels cannot be fed in pieces: on first use of a tensor type, a
// few rows of a real weight are multiplied whole and in pieces, and the results compared bit for bit.
#pragma once

#include "exec/expert_product.h"
#include "exec/product.h"
#include "exec/weight_store.h"

namespace headrace {

// True when pieces give the bits of the whole, for one column and for more; `product` then knows whether it must
// compute results apart. Reads at most 192 rows of the weight from its mapping.
bool PiecesEqualWhole(const GgmlApi& api, Product& product, ggml_backend_t backend, const Weight& weight);

// Whether that holds for few rows of the file's layout on many threads, too. Of a weight that is cut by rows and has
// 128 or more. Makes a backend.
bool PlainPiecesEqualWholeOnThreads(const GgmlApi& api, Product& product, const Weight& weight);

// The same for single experts: at most 192 rows of each of two.
bool ExpertPiecesEqualWhole(const GgmlApi& api, ExpertProduct& product, ggml_backend_t backend, const Weight& weight);

}  // namespace headrace
