#include "engine/draft_head.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNoGraph = "this llama.cpp cannot compute the draft heads of such models";

// Architectures whose heads may have several blocks; with another one llama.cpp ends when it has more than one.
constexpr std::string_view kManyBlocks[] = {"step35", "mimo2", "hyv3"};

// "glm4moe" of "glm4moe", "glm4_moe" and "glm4-moe".
std::string Plain(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return plain;
}

bool HasTensor(const Catalogue& catalogue, const std::string& name) {
  return std::any_of(catalogue.tensors.begin(), catalogue.tensors.end(),
                     [&](const TensorEntry& tensor) { return tensor.name == name; });
}

uint64_t FirstBlock(const Catalogue& catalogue) { return catalogue.layers - catalogue.head_blocks; }

// Of llama.cpp's library, which lies beside ggml's. Empty where it cannot be found.
std::string LibraryContent(const Engine& engine) {
  const std::string ggml = FindGgmlLibrary(engine);
  if (ggml.empty()) return "";
  for (const char* name : {"libllama.so", "libllama.so.0"}) {
    std::ifstream file(fs::path(ggml).parent_path() / name, std::ios::binary);
    if (file) return {std::istreambuf_iterator<char>(file), {}};
  }
  return "";
}

}  // namespace

uint64_t HeadBlocks(const Catalogue& catalogue) {
  const uint64_t blocks = catalogue.head_blocks;
  if (blocks == 0 || blocks >= catalogue.layers) return 0;
  const auto complete = static_cast<uint64_t>(
      std::count_if(catalogue.tensors.begin(), catalogue.tensors.end(), [&](const TensorEntry& tensor) {
        return IsOfHead(catalogue, tensor) && tensor.name.ends_with(".nextn.eh_proj.weight");
      }));
  return complete == blocks ? blocks : 0;
}

bool IsOfHead(const Catalogue& catalogue, const TensorEntry& tensor) {
  const uint64_t blocks = catalogue.head_blocks;
  return blocks > 0 && blocks < catalogue.layers && tensor.layer >= 0 &&
         static_cast<uint64_t>(tensor.layer) >= FirstBlock(catalogue);
}

bool HeadHasOutput(const Catalogue& catalogue) {
  return HasTensor(catalogue, fmt::format("blk.{}.nextn.shared_head_head.weight", FirstBlock(catalogue)));
}

bool DraftsWithHead(const EngineArguments& arguments) {
  const std::string types = arguments.Value(OptionId::kSpeculation).value_or("");
  const bool own_model = arguments.Value(OptionId::kDraftModel).has_value();
  return !own_model && ("," + types + ",").find(fmt::format(",{},", kHeadType)) != std::string::npos;
}

std::vector<EngineOption> HeadOptions(uint64_t tokens) {
  std::vector<EngineOption> options = {WithValue(OptionId::kSpeculation, kHeadType)};
  if (tokens > 0) options.push_back(WithValue(OptionId::kDraftTokens, std::to_string(tokens)));
  return options;
}

EngineArguments HeadArguments() { return EngineArguments(HeadOptions(0)); }

std::string WhyNoHead(const Catalogue& catalogue, const Engine& engine, const OptionNames& known) {
  const uint64_t blocks = HeadBlocks(catalogue);
  if (blocks == 0) return "the model has no draft head";
  if (!known.Has(std::string("--spec-type=") + kHeadType)) return kNoGraph;
  const std::string architecture = Plain(catalogue.architecture);
  if (blocks > 1 && std::find(std::begin(kManyBlocks), std::end(kManyBlocks), architecture) == std::end(kManyBlocks))
    return kNoGraph;
  return NamesHeadGraph(LibraryContent(engine), architecture) ? "" : kNoGraph;
}

// The class of each graph has a name in the library: "N20llama_model_glm4_moe9graph_mtpE".
bool NamesHeadGraph(std::string_view library, std::string_view architecture) {
  constexpr std::string_view kModel = "llama_model_", kGraph = "9graph_mtpE";
  const std::string wanted = Plain(architecture);
  if (wanted.empty()) return false;
  for (size_t at = library.find(kGraph); at != std::string_view::npos; at = library.find(kGraph, at + 1)) {
    constexpr size_t kLongest = 64;
    const std::string_view before = library.substr(at - std::min(at, kLongest), std::min(at, kLongest));
    const size_t model = before.rfind(kModel);
    if (model != std::string_view::npos && Plain(before.substr(model + kModel.size())) == wanted) return true;
  }
  return false;
}

uint64_t HeadTokenBytes(const Catalogue& catalogue) {
  const uint64_t heads = catalogue.heads_kv > 0 ? catalogue.heads_kv : catalogue.heads;
  const uint64_t usual = catalogue.embedding_length / std::max<uint64_t>(1, catalogue.heads);
  const auto length = [&](uint64_t stated) { return stated > 0 ? stated : usual; };
  return 2 * heads * (length(catalogue.key_length) + length(catalogue.value_length)) * HeadBlocks(catalogue);
}

}  // namespace headrace::cli
