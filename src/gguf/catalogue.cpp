#include "gguf/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_set>

#include "base/split_name.h"
#include "gguf/file_header.h"
#include "gguf/header_cursor.h"

namespace headrace {
namespace {

// Adds a file's tensors and, from the first file, what is said about the model.
void Append(const std::string& path, FileHeader header, Catalogue* catalogue) {
  const auto file = static_cast<uint32_t>(catalogue->files.size());
  if (file == 0) {
    const Metadata& metadata = header.metadata;
    catalogue->version = header.version;
    catalogue->architecture = metadata.architecture;
    catalogue->name = metadata.name;
    catalogue->context_length = metadata.Number("context_length");
    catalogue->embedding_length = metadata.Number("embedding_length");
    catalogue->layers = metadata.Number("block_count");
    catalogue->heads = metadata.Number("attention.head_count");
    catalogue->heads_kv = metadata.Number("attention.head_count_kv");
    catalogue->experts = metadata.Number("expert_count");
    catalogue->experts_used = metadata.Number("expert_used_count");
    catalogue->key_length = metadata.Number("attention.key_length");
    catalogue->value_length = metadata.Number("attention.value_length");
    catalogue->head_blocks = metadata.Number("nextn_predict_layers");
    catalogue->pooling = metadata.Number("pooling_type");
    catalogue->vocabulary = metadata.vocabulary;
    catalogue->has_chat_template = metadata.has_chat_template;
  }
  catalogue->files.push_back({path, header.file_bytes});
  for (TensorEntry& tensor : header.tensors) {
    tensor.file = file;
    catalogue->tensors.push_back(std::move(tensor));
  }
}

Status CheckUniqueNames(const Catalogue& catalogue) {
  std::unordered_set<std::string_view> names;
  for (const TensorEntry& tensor : catalogue.tensors) {
    if (names.insert(tensor.name).second) continue;
    return Status(Code::kCorrupt, fmt::format("{}: damaged: tensor '{}' occurs twice. Fetch the file again.",
                                              catalogue.files[tensor.file].path, Printable(tensor.name)));
  }
  return {};
}

// Does the file say about itself what its name says?
Status CheckPart(const std::string& path, const Metadata& metadata, uint32_t part, uint32_t parts) {
  if (metadata.split_no == part - 1 && metadata.split_count == parts) return {};
  const auto text = [](std::optional<uint64_t> number) { return number ? fmt::format("{}", *number) : "absent"; };
  return Status(Code::kCorrupt,
                fmt::format("{}: named part {} of {}, but its split.no (from 0) is {} and its split.count {}. Give the "
                            "parts their own names, a whole model a name without '-of-', or fetch them again.",
                            path, part, parts, text(metadata.split_no), text(metadata.split_count)));
}

Result<Catalogue> ReadSplit(const SplitName& name) {
  Catalogue catalogue;
  std::optional<uint64_t> claimed_tensors;
  for (uint32_t part = 1; part <= name.parts; ++part) {
    const std::string path = name.PathOf(part);
    Result<FileHeader> header = ReadFileHeader(path);
    if (!header.ok() && header.status().code() == Code::kNotFound) {
      return Status(Code::kNotFound, fmt::format("{}: missing, it is part {} of {} of the model. Put all parts into "
                                                 "one directory.",
                                                 path, part, name.parts));
    }
    if (!header.ok()) return header.status();
    HEADRACE_RETURN_IF_ERROR(CheckPart(path, header->metadata, part, name.parts));
    if (part == 1) claimed_tensors = header->metadata.split_tensors;
    Append(path, *std::move(header), &catalogue);
  }
  if (claimed_tensors != catalogue.tensors.size()) {
    return Status(Code::kCorrupt,
                  fmt::format("{}: the {} parts have {} tensors together, but split.tensors.count is {}. They do not "
                              "belong together: fetch them again.",
                              name.PathOf(1), name.parts, catalogue.tensors.size(),
                              claimed_tensors ? fmt::format("{}", *claimed_tensors) : "absent"));
  }
  return catalogue;
}

Result<Catalogue> ReadWhole(const std::string& path) {
  Result<FileHeader> header = ReadFileHeader(path);
  if (!header.ok()) return header.status();
  const uint64_t parts = header->metadata.split_count.value_or(1);
  if (parts > 1) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{}: a part of a split model under another name. Call it 'NAME-{:05}-of-{:05}.gguf' "
                              "again, beside the other parts.",
                              path, header->metadata.split_no.value_or(0) + 1, parts));
  }
  Catalogue catalogue;
  Append(path, *std::move(header), &catalogue);
  return catalogue;
}

}  // namespace

bool TensorEntry::is_expert() const {
  const std::string_view text = name;
  return text.ends_with("_exps.weight") || text.ends_with("_chexps.weight");
}

bool TensorEntry::type_known() const { return LayoutOf(type).block_elements > 0; }

uint64_t Catalogue::weight_bytes() const {
  uint64_t bytes = 0;
  for (const TensorEntry& tensor : tensors) bytes += tensor.bytes;
  return bytes;
}

uint64_t Catalogue::parameters() const {
  uint64_t elements = 0;
  for (const TensorEntry& tensor : tensors) elements += tensor.shape[0] * tensor.rows();
  return elements;
}

std::string Catalogue::dominant_type() const {
  std::map<uint32_t, uint64_t> bytes_of;
  for (const TensorEntry& tensor : tensors) bytes_of[tensor.type] += tensor.bytes;
  const auto largest = std::max_element(bytes_of.begin(), bytes_of.end(),
                                        [](const auto& a, const auto& b) { return a.second < b.second; });
  return largest == bytes_of.end() ? "" : TypeName(largest->first);
}

std::vector<std::string> Catalogue::unknown_types() const {
  std::set<uint32_t> types;
  for (const TensorEntry& tensor : tensors) {
    if (!tensor.type_known()) types.insert(tensor.type);
  }
  std::vector<std::string> names;
  for (const uint32_t type : types) names.push_back(TypeName(type));
  return names;
}

Result<Catalogue> ReadCatalogue(const std::string& path) {
  const auto split = ParseSplitName(path);
  Result<Catalogue> catalogue = split && split->parts > 1 ? ReadSplit(*split) : ReadWhole(path);
  if (catalogue.ok()) HEADRACE_RETURN_IF_ERROR(CheckUniqueNames(*catalogue));
  return catalogue;
}

}  // namespace headrace
