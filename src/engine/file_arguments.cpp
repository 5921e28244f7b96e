#include "engine/file_arguments.h"

#include <algorithm>

#include "gguf/file_header.h"

namespace headrace::cli {
namespace {

bool IsAdapter(OptionId option) {
  return option == OptionId::kAdapters || option == OptionId::kScaledAdapters || option == OptionId::kControlVectors ||
         option == OptionId::kScaledControlVectors;
}

// That a value of this option names.
std::vector<std::string> Paths(OptionId option, const std::string& value) {
  switch (option) {
    case OptionId::kDraftModel:
    case OptionId::kProjector:
      return {value};
    case OptionId::kAdapters:
    case OptionId::kControlVectors:
      return ListFields(value);
    case OptionId::kScaledAdapters:
    case OptionId::kScaledControlVectors: {  // "PATH:SCALE,..."
      std::vector<std::string> paths = ListFields(value);
      for (std::string& path : paths) path.resize(std::min(path.rfind(':'), path.size()));
      return paths;
    }
    default:
      return {};
  }
}

Status CheckFile(const std::string& option, const std::string& path) {
  const auto header = ReadFileHeader(path);
  // A type of tensor that the engine knows and we do not is its business.
  if (header.ok() || header.status().code() == Code::kUnsupported) return {};
  return Status(header.status().code(), option + ": " + header.status().message());
}

}  // namespace

Status CheckFileArguments(const EngineArguments& arguments) {
  for (const GivenOption& given : arguments.options()) {
    if (!given.option || !given.value) continue;
    for (const std::string& path : Paths(*given.option, *given.value))
      HEADRACE_RETURN_IF_ERROR(CheckFile(given.name, path));
  }
  return {};
}

std::vector<std::string> AdapterFiles(const EngineArguments& arguments) {
  std::vector<std::string> files;
  for (const GivenOption& given : arguments.options()) {
    if (!given.option || !given.value || !IsAdapter(*given.option)) continue;
    for (std::string& path : Paths(*given.option, *given.value)) {
      if (!path.empty()) files.push_back(std::move(path));
    }
  }
  return files;
}

std::vector<std::string> ListFields(std::string_view list) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '"' && quoted && i + 1 < list.size() && list[i + 1] == '"') {
      fields.back() += list[++i];
    } else if (list[i] == '"' && (quoted || fields.back().empty())) {
      quoted = !quoted;
    } else if (list[i] == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += list[i];
    }
  }
  return fields;
}

std::string ListField(const std::string& field) {
  if (field.find_first_of(",\"") == std::string::npos) return field;
  std::string quoted = "\"";
  for (const char c : field) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace headrace::cli
