// Models that carry a draft head in their own file (multi-token prediction): the shape of GLM 4.5, whose last block is no layer of the model
// but drafts from the hidden state that the others leave.
#pragma once

#include "model_shape.h"

namespace headrace::bench {

// The metadata and tensors that come after those which all architectures have. `shape` is a mixture. The head is made to agree with the model
// often: it passes the embedding of the token before on, which is the largest part of each hidden state here. So many of its tokens are
// accepted, which says nothing about published models.
void AddGlm4Moe(const ModelShape& shape, TensorType matrices, const Filling& embedding, const Filling& residual, GgufWriter& writer);

}  // namespace headrace::bench
