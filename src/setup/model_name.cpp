#include "setup/model_name.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>

#include <CLI/CLI.hpp>

#include "base/letters.h"
#include "models/file_names.h"
#include "models/model_names.h"

namespace headrace::cli {
namespace {

constexpr std::string_view kModelOptions[] = {"-m", "--model", "-md", "--model-draft", "--spec-draft-model"};

}  // namespace

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

std::vector<std::string> WithModelPaths(std::vector<std::string> arguments) {
  for (size_t i = 0; i + 1 < arguments.size(); ++i) {
    if (std::find(std::begin(kModelOptions), std::end(kModelOptions), arguments[i]) == std::end(kModelOptions))
      continue;
    if (auto path = ResolveModel(arguments[i + 1]); path.ok()) arguments[i + 1] = std::move(*path);
  }
  return arguments;
}

}  // namespace headrace::cli
