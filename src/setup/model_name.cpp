#include "setup/model_name.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <CLI/CLI.hpp>

#include "base/letters.h"
#include "models/file_names.h"
#include "models/model_names.h"

namespace headrace::cli {

bool IsPathOfModel(const std::string& text) {
  std::error_code error;
  return text.starts_with('/') || text.starts_with("./") || text.starts_with("../") ||
         EndsIgnoringCase(text, ".gguf") || std::filesystem::exists(text, error);
}

Result<std::string> ResolveModel(const std::string& text) {
  std::error_code error;
  if (text.empty() || std::filesystem::exists(text, error)) return text;
  auto models = FindModelFiles(MachinePlaces([](const char* name) { return std::getenv(name); }), {});
  std::erase_if(models, [](const ModelFile& model) { return IsProjectorName(model.path); });
  const auto found = FindByName(models, text, {"file or model"});
  if (found.ok()) return found->path;
  // Whoever reads it says what is wrong with a file.
  if (IsPathOfModel(text)) return text;
  return found.status();
}

CLI::Option* TakesModel(CLI::Option* option) {
  return option->transform(CLI::Validator(
      [](std::string& text) {
        auto path = ResolveModel(text);
        if (!path.ok()) return path.status().message();
        text = std::move(*path);
        return std::string();
      },
      ""));
}

EngineArguments WithModelPaths(const EngineArguments& arguments) {
  std::vector<std::string> words = arguments.words();
  for (const GivenOption& given : arguments.options()) {
    if ((given.option != OptionId::kModel && given.option != OptionId::kDraftModel) || !given.value) continue;
    if (auto path = ResolveModel(*given.value); path.ok()) words[given.at + 1] = std::move(*path);
  }
  return words;
}

}  // namespace headrace::cli
