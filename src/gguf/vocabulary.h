// A model's vocabulary as its header has it. Values and pure functions; thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace headrace {

struct Vocabulary {
  std::string model;                   // tokenizer.ggml.model, "" when absent: "gpt2", "llama"
  std::vector<std::string> tokens;     // at most 1024 bytes of each
  std::optional<uint64_t> begin, end;  // token ids, none when absent
  std::optional<bool> adds_begin, adds_end;
};

// Of any part of a model's file; only the first one of a split model has it. Errors: as ReadCatalogue's.
Result<Vocabulary> ReadVocabulary(const std::string& path);

// What keeps a model with the vocabulary `draft` from drafting for one with `target`, as far as a header tells; "" when
// nothing does. The engine's own rule: the same kind of tokenizer and special tokens, sizes that differ by at most 128,
// and the same texts but for the first five tokens.
std::string WhyNotADraft(const Vocabulary& target, const Vocabulary& draft);

}  // namespace headrace
