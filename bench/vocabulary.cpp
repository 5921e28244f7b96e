#include "vocabulary.h"

#include <string>
#include <utility>
#include <vector>

namespace headrace::bench {
namespace {

// token_type in GGUF
constexpr int32_t kNormal = 1, kControl = 3, kUnused = 5;

// Frequent English pairs. A space is spelled U+0120, as GPT-2 does; the engine refuses a list without entries.
const std::vector<std::pair<std::string, std::string>>& Merges() {
  static const std::vector<std::pair<std::string, std::string>> merges = {
      {"h", "e"}, {"\u0120", "t"}, {"\u0120", "a"}, {"i", "n"}, {"r", "e"}, {"o", "n"}, {"\u0120t", "he"}, {"e", "r"}};
  return merges;
}

std::string Utf8(uint32_t code) {  // below U+0800
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

// GPT-2's printable stand-ins for the 256 bytes: itself where printable, else U+0100 onwards.
std::vector<std::string> ByteTokens() {
  std::vector<std::string> tokens;
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    tokens.push_back(Utf8(printable ? byte : next++));
  }
  return tokens;
}

}  // namespace

uint32_t SmallestVocabulary() { return static_cast<uint32_t>(1 + 256 + Merges().size()); }

void WriteVocabulary(uint32_t tokens, GgufWriter& writer) {
  std::vector<std::string> names = {"<|endoftext|>"};
  for (std::string& token : ByteTokens()) names.push_back(std::move(token));
  std::vector<std::string> merges;
  for (const auto& [left, right] : Merges()) {
    names.push_back(left + right);
    merges.push_back(left + " " + right);
  }
  std::vector<int32_t> types(names.size(), kNormal);
  types[0] = kControl;
  for (uint32_t i = 0; names.size() < tokens; ++i) names.push_back("<|unused" + std::to_string(i) + "|>");
  types.resize(names.size(), kUnused);

  writer.AddString("tokenizer.ggml.model", "gpt2");
  writer.AddString("tokenizer.ggml.pre", "gpt-2");
  writer.AddStrings("tokenizer.ggml.tokens", names);
  writer.AddInt32s("tokenizer.ggml.token_type", types);
  writer.AddStrings("tokenizer.ggml.merges", merges);
  writer.AddUint32("tokenizer.ggml.bos_token_id", 0);
  writer.AddUint32("tokenizer.ggml.eos_token_id", 0);
  writer.AddBool("tokenizer.ggml.add_bos_token", true);
}

}  // namespace headrace::bench
