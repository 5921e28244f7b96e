#include "gguf/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string_view>
#include <type_traits>
#include <unordered_set>

namespace headrace {
namespace {

constexpr uint64_t kMaxKeys = 65536;
constexpr uint64_t kMaxKeyBytes = 65535;  // by the format's specification
constexpr uint64_t kMaxTextBytes = 1024;  // kept of a value
constexpr uint64_t kMaxAlignment = 1 << 20;

// Of the architecture: "llama.context_length".
constexpr std::string_view kModelKeys[] = {
    "context_length",          "embedding_length",       "block_count",          "attention.head_count",
    "attention.head_count_kv", "expert_count",           "expert_used_count",    "pooling_type",
    "attention.key_length",    "attention.value_length", "nextn_predict_layers",
};

enum ValueType : uint32_t {
  kUint8 = 0,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
};

// Bytes of a value of fixed size, 0 for the others.
uint32_t FixedBytes(uint32_t type) {
  switch (type) {
    case kUint8:
    case kInt8:
    case kBool:
      return 1;
    case kUint16:
    case kInt16:
      return 2;
    case kUint32:
    case kInt32:
    case kFloat32:
      return 4;
    case kUint64:
    case kInt64:
    case kFloat64:
      return 8;
    default:
      return 0;
  }
}

bool IsModelKey(std::string_view key) {
  return std::any_of(std::begin(kModelKeys), std::end(kModelKeys), [&](std::string_view known) {
    return key.size() > known.size() && key.ends_with(known) && key[key.size() - known.size() - 1] == '.';
  });
}

// One value, or one array: its type and how many elements follow.
struct ValueHead {
  uint32_t type = 0;  // of the value or of the array's elements
  bool is_array = false;
  uint64_t count = 1;
};

class MetadataReader {
 public:
  MetadataReader(HeaderCursor& cursor, Vocabulary* vocabulary) : cursor_(cursor), vocabulary_(vocabulary) {}

  Status ReadPair() {
    std::string key;
    // One more byte than allowed tells a key that is too long.
    if (!cursor_.ReadString(kMaxKeyBytes + 1, &key)) return cursor_.status();
    if (key.empty() || key.size() > kMaxKeyBytes) return Corrupt("a metadata key is empty or too long");
    if (!keys_.insert(key).second) return Corrupt(fmt::format("the key '{}' occurs twice", Printable(key)));

    ValueHead head;
    if (!cursor_.Read(&head.type)) return cursor_.status();
    if (head.type == kArray) {
      head.is_array = true;
      if (!cursor_.Read(&head.type) || !cursor_.ReadLength(&head.count)) return cursor_.status();
    }
    if (head.type != kString && FixedBytes(head.type) == 0) {
      return Status(Code::kUnsupported,
                    fmt::format("{}: the key '{}' holds {}. The file is damaged, or newer than this headrace.",
                                cursor_.path(), Printable(key),
                                head.type == kArray ? "an array of arrays"
                                                    : fmt::format("a value of unknown type {}", head.type)));
    }
    return ReadValue(key, head);
  }

  Metadata Take() { return std::move(metadata_); }

 private:
  Status ReadValue(const std::string& key, const ValueHead& head) {
    const bool is_text = head.type == kString && !head.is_array;
    if (is_text && key == "general.architecture") return ReadText(&metadata_.architecture);
    if (is_text && key == "general.name") return ReadText(&metadata_.name);
    if (key == "tokenizer.chat_template" && is_text) metadata_.has_chat_template = true;
    if (key == "tokenizer.ggml.tokens" && head.is_array) metadata_.vocabulary = head.count;
    if (vocabulary_ != nullptr && key.starts_with("tokenizer.ggml.")) return ReadTokenizer(key, head);

    if (key == "general.alignment") {
      std::optional<uint64_t> alignment;
      HEADRACE_RETURN_IF_ERROR(ReadLargest(head, &alignment));
      if (!alignment || head.is_array || !std::has_single_bit(*alignment) || *alignment > kMaxAlignment) {
        return Corrupt(fmt::format("general.alignment is {}, which is no power of two up to {}",
                                   alignment ? fmt::format("{}", *alignment) : "no number", kMaxAlignment));
      }
      metadata_.alignment = *alignment;
      return {};
    }
    if (key == "split.no") return ReadLargest(head, &metadata_.split_no);
    if (key == "split.count") return ReadLargest(head, &metadata_.split_count);
    if (key == "split.tensors.count") return ReadLargest(head, &metadata_.split_tensors);
    if (IsModelKey(key)) {
      std::optional<uint64_t> largest;
      HEADRACE_RETURN_IF_ERROR(ReadLargest(head, &largest));
      if (largest) metadata_.numbers[key] = *largest;
      return {};
    }
    return SkipValue(head);
  }

  Status ReadTokenizer(const std::string& key, const ValueHead& head) {
    const bool is_text = head.type == kString && !head.is_array;
    if (is_text && key == "tokenizer.ggml.model") return ReadText(&vocabulary_->model);
    if (key == "tokenizer.ggml.tokens" && head.is_array && head.type == kString) return ReadTokens(head.count);
    const auto read_flag = [&](std::optional<bool>* flag) -> Status {
      uint8_t value = 0;
      if (!cursor_.Read(&value)) return cursor_.status();
      *flag = value != 0;
      return {};
    };
    const bool is_flag = head.type == kBool && !head.is_array;
    if (is_flag && key == "tokenizer.ggml.add_bos_token") return read_flag(&vocabulary_->adds_begin);
    if (is_flag && key == "tokenizer.ggml.add_eos_token") return read_flag(&vocabulary_->adds_end);
    if (key == "tokenizer.ggml.bos_token_id") return ReadLargest(head, &vocabulary_->begin);
    if (key == "tokenizer.ggml.eos_token_id") return ReadLargest(head, &vocabulary_->end);
    return SkipValue(head);
  }

  Status ReadTokens(uint64_t count) {
    if (!cursor_.Expect(count, cursor_.length_bytes())) return cursor_.status();
    for (uint64_t i = 0; i < count; ++i) {
      if (!cursor_.ReadString(kMaxTextBytes, &vocabulary_->tokens.emplace_back())) return cursor_.status();
    }
    return {};
  }

  Status ReadText(std::string* text) {
    if (!cursor_.ReadString(kMaxTextBytes, text)) return cursor_.status();
    for (char& c : *text) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return {};
  }

  // The largest of the integers that follow; none for values of another kind, and negative ones.
  Status ReadLargest(const ValueHead& head, std::optional<uint64_t>* largest) {
    switch (head.type) {
      case kUint8:
        return ReadIntegers<uint8_t>(head.count, largest);
      case kInt8:
        return ReadIntegers<int8_t>(head.count, largest);
      case kUint16:
        return ReadIntegers<uint16_t>(head.count, largest);
      case kInt16:
        return ReadIntegers<int16_t>(head.count, largest);
      case kUint32:
        return ReadIntegers<uint32_t>(head.count, largest);
      case kInt32:
        return ReadIntegers<int32_t>(head.count, largest);
      case kUint64:
        return ReadIntegers<uint64_t>(head.count, largest);
      case kInt64:
        return ReadIntegers<int64_t>(head.count, largest);
      default:
        return SkipValue(head);
    }
  }

  template <typename T>
  Status ReadIntegers(uint64_t count, std::optional<uint64_t>* largest) {
    if (!cursor_.Expect(count, sizeof(T))) return cursor_.status();
    for (uint64_t i = 0; i < count; ++i) {
      T value = 0;
      if (!cursor_.Read(&value)) return cursor_.status();
      if constexpr (std::is_signed_v<T>) {
        if (value < 0) continue;
      }
      *largest = std::max(largest->value_or(0), static_cast<uint64_t>(value));
    }
    return {};
  }

  Status SkipValue(const ValueHead& head) {
    if (head.type == kString) return cursor_.SkipStrings(head.count) ? Status() : cursor_.status();
    const uint64_t bytes = FixedBytes(head.type);
    if (!cursor_.Expect(head.count, bytes) || !cursor_.Skip(head.count * bytes)) return cursor_.status();
    return {};
  }

  Status Corrupt(std::string_view what) const {
    return Status(Code::kCorrupt, fmt::format("{}: damaged: {} (before offset {}). Fetch the file again.",
                                              cursor_.path(), what, cursor_.position()));
  }

  HeaderCursor& cursor_;
  Vocabulary* const vocabulary_;
  std::unordered_set<std::string> keys_;
  Metadata metadata_;
};

}  // namespace

uint64_t Metadata::Number(const std::string& key) const {
  const auto found = numbers.find(architecture + "." + key);
  return found == numbers.end() ? 0 : found->second;
}

Result<Metadata> ReadMetadata(HeaderCursor& cursor, uint64_t count, Vocabulary* vocabulary) {
  cursor.Enter("the metadata");
  const uint64_t min_pair_bytes = cursor.length_bytes() + 1 + 4 + 1;
  if (!cursor.Expect(count, min_pair_bytes)) return cursor.status();
  if (count > kMaxKeys) {
    return Status(Code::kCorrupt, fmt::format("{}: damaged: it claims {} metadata keys, at most {} are possible. "
                                              "Fetch the file again.",
                                              cursor.path(), count, kMaxKeys));
  }
  MetadataReader reader(cursor, vocabulary);
  for (uint64_t i = 0; i < count; ++i) HEADRACE_RETURN_IF_ERROR(reader.ReadPair());
  return reader.Take();
}

}  // namespace headrace
