// A tokenizer for generated models: byte-level BPE that can spell any text, padded with unused tokens.
#pragma once

#include <cstdint>

#include "gguf_writer.h"

namespace headrace::bench {

// The smallest vocabulary that WriteVocabulary can write: the end token, every byte and the merges.
uint32_t SmallestVocabulary();

// Adds the tokenizer.* metadata of a vocabulary of exactly `tokens` >= SmallestVocabulary() entries.
void WriteVocabulary(uint32_t tokens, GgufWriter& writer);

}  // namespace headrace::bench
