#include "engine/file_arguments.h"

#include "gguf/file_header.h"

namespace headrace::cli {
namespace {

enum class Form { kPath, kList, kScaledList };  // kScaledList: "PATH:SCALE,..."

struct FileOption {
  const char* name;
  Form form;
};

constexpr FileOption kFileOptions[] = {{"-md", Form::kPath},
                                       {"--model-draft", Form::kPath},
                                       {"--spec-draft-model", Form::kPath},
                                       {"-mm", Form::kPath},
                                       {"--mmproj", Form::kPath},
                                       {"--lora", Form::kList},
                                       {"--control-vector", Form::kList},
                                       {"--lora-scaled", Form::kScaledList},
                                       {"--control-vector-scaled", Form::kScaledList}};

std::vector<std::string> Paths(const FileOption& option, const std::string& value) {
  if (option.form == Form::kPath) return {value};
  std::vector<std::string> paths = ListFields(value);
  if (option.form == Form::kScaledList) {
    for (std::string& path : paths) path.resize(std::min(path.rfind(':'), path.size()));
  }
  return paths;
}

Status CheckFile(const char* option, const std::string& path) {
  const auto header = ReadFileHeader(path);
  // A type of tensor that the engine knows and we do not is its business.
  if (header.ok() || header.status().code() == Code::kUnsupported) return {};
  return Status(header.status().code(), std::string(option) + ": " + header.status().message());
}

}  // namespace

Status CheckFileArguments(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i + 1 < arguments.size(); ++i) {
    for (const FileOption& option : kFileOptions) {
      if (arguments[i] != option.name) continue;
      for (const std::string& path : Paths(option, arguments[i + 1]))
        HEADRACE_RETURN_IF_ERROR(CheckFile(option.name, path));
      ++i;
      break;
    }
  }
  return {};
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
