// How many tokens of a prompt go through the weights in one pass (llama.cpp's --ubatch-size): enough that computing and
// not the disk decides, and no more than memory can bear. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>

#include "plan/pass_cost.h"

namespace headrace {

// Whether others wait for their next token while a prompt is read.
enum class PromptPasses { kAlone, kShared };

inline constexpr std::array<uint64_t, 5> kPromptBatches = {128, 256, 512, 1024, 2048};
inline constexpr uint64_t kUsualPromptBatch = 512;  // llama.cpp's default

// Memory beside weights that passes of so many tokens take; nullopt when that is not known.
using PromptBatchMemory = std::function<std::optional<uint64_t>(uint64_t tokens)>;

inline constexpr uint64_t kNarrowestPiece = 32;  // of a prompt that shares passes

// kAlone: the smallest of kPromptBatches whose pass takes at least four times as long as the disk does for it: then a
// prompt is as fast as it can be but for a fifth. The widest within `most_bytes` where none of those is, at least the
// smallest of all. kShared: the widest power of two, from kNarrowestPiece on, with which a pass takes at most twice as
// long as one of one token, or as the disk alone for it; more than kUsualPromptBatch only where it is known to be
// within `most_bytes`. Without known costs it is kUsualPromptBatch.
uint64_t ChoosePromptBatch(const PassCost& cost, PromptPasses passes, uint64_t most_bytes,
                           const PromptBatchMemory& memory);

}  // namespace headrace
