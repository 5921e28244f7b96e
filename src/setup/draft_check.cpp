#include "setup/draft_check.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "base/size.h"
#include "gguf/vocabulary.h"

namespace headrace::cli {
namespace {

// Heads that were trained for one model and use its activations: general.architecture and the engine's name.
constexpr std::pair<const char*, const char*> kHeads[] = {
    {"eagle3", "draft-eagle3"}, {"dflash", "draft-dflash"}, {"dspark", "draft-dspark"}};

std::string TypeOf(const std::string& architecture) {
  for (const auto& [name, type] : kHeads) {
    if (architecture == name) return type;
  }
  return "draft-simple";
}

}  // namespace

Result<Draft> CheckDraft(const ModelSetup& target, const std::string& path) {
  const auto refuse = [&](const std::string& why) {
    return Status(Code::kInvalidArgument, fmt::format("{} cannot draft for {}: {}", path, target.path, why));
  };
  std::error_code ignored;
  if (std::filesystem::equivalent(path, target.path, ignored))
    return refuse("it is the same file; name a smaller model with the same vocabulary");
  const auto catalogue = ReadCatalogue(path);
  if (!catalogue.ok()) return catalogue.status();
  Draft draft{path, catalogue->architecture, TypeOf(catalogue->architecture), catalogue->weight_bytes()};
  const std::string& first = catalogue->files.empty() ? path : catalogue->files.front().path;
  const std::string& target_first = target.catalogue.files.empty() ? target.path : target.catalogue.files.front().path;
  if (std::filesystem::equivalent(first, target_first, ignored))
    return refuse("it is the same model; name a smaller one with the same vocabulary");
  if (catalogue->layers == 0 || catalogue->architecture == "clip") return refuse("it is not a language model");
  if (catalogue->pooling > 0) return refuse("it makes embeddings and writes no text");
  if (draft.weight_bytes >= target.catalogue.weight_bytes()) {
    return refuse(
        fmt::format("with {} of weights it is not smaller than {}; a draft model has to be much faster than the model "
                    "that it drafts for",
                    FormatSize(draft.weight_bytes), FormatSize(target.catalogue.weight_bytes())));
  }
  // Their own, shortened vocabularies are the engine's business.
  if (IsUntested(draft.type)) return draft;
  const auto vocabulary = ReadVocabulary(first);
  if (!vocabulary.ok()) return vocabulary.status();
  const auto target_vocabulary = ReadVocabulary(target_first);
  if (!target_vocabulary.ok()) return target_vocabulary.status();
  const std::string why = WhyNotADraft(*target_vocabulary, *vocabulary);
  if (!why.empty()) return refuse("another vocabulary: " + why + "; a draft model has to be of the same family");
  return draft;
}

}  // namespace headrace::cli
