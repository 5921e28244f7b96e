#include "models/hub_names.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "base/letters.h"
#include "base/split_name.h"
#include "models/file_names.h"

namespace headrace {
namespace {

constexpr const char* kUsualQuantizations[] = {"Q4_K_M", "Q8_0"};
constexpr std::string_view kFolderKind = "models--";

// By llama.cpp's rule, which takes the numbers as they stand.
bool IsLaterPart(const std::string& file) {
  const auto name = ParseSplitNumbers(file);
  return name && name->parts > 1 && name->part != 1;
}

bool IsModel(const std::string& file) { return !IsLaterPart(file) && !IsBesideModel(file); }

bool HasQuantization(const std::string& file, const std::string& quantization) {
  const std::string name = Lowered(file), part = Lowered(quantization);
  for (size_t at = 0; (at = name.find(part, at)) != std::string::npos; ++at) {
    const size_t end = at + part.size();
    if (end < name.size() && (name[end] == '.' || name[end] == '-')) return true;
  }
  return false;
}

}  // namespace

bool IsRepositoryName(const std::string& name) {
  const auto is_base = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  bool after_base = false;
  for (const char c : name) {
    const bool base = is_base(static_cast<unsigned char>(c));
    if (!base && (!after_base || (c != '/' && c != '.' && c != '-'))) return false;
    after_base = base;
  }
  return after_base && std::count(name.begin(), name.end(), '/') == 1;
}

std::pair<std::string, std::string> SplitTag(const std::string& repository) {
  const size_t first = repository.find(':'), last = repository.rfind(':');
  if (first == std::string::npos) return {repository, ""};
  return {repository.substr(0, first), repository.substr(last + 1)};
}

std::string HubFolderName(const std::string& repository) {
  return std::string(kFolderKind) + Replaced(repository, "/", "--");
}

std::string HubRepositoryOf(const std::string& folder_name) {
  return folder_name.starts_with(kFolderKind) ? Replaced(folder_name.substr(kFolderKind.size()), "--", "/") : "";
}

std::string ChooseModelFile(const std::vector<std::string>& files, const std::string& quantization,
                            const std::string& file) {
  const auto find = [&](const auto& holds) {
    const auto found = std::find_if(files.begin(), files.end(), holds);
    return found == files.end() ? std::string() : *found;
  };
  if (!file.empty()) return find([&](const std::string& candidate) { return Lowered(candidate) == Lowered(file); });
  if (!quantization.empty())
    return find(
        [&](const std::string& candidate) { return IsModel(candidate) && HasQuantization(candidate, quantization); });
  for (const char* usual : kUsualQuantizations) {
    const std::string found =
        find([&](const std::string& candidate) { return IsModel(candidate) && HasQuantization(candidate, usual); });
    if (!found.empty()) return found;
  }
  return find(IsModel);
}

std::vector<std::string> ProjectorFiles(const std::vector<std::string>& files, const std::string& model) {
  std::vector<std::string> projectors;
  for (const std::string& file : files) {
    const std::string around = std::filesystem::path(file).parent_path().generic_string();
    if (file.find("mmproj") != std::string::npos && (around.empty() || model.starts_with(around + "/")))
      projectors.push_back(file);
  }
  return projectors;
}

std::string Replaced(std::string text, std::string_view what, std::string_view with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
  return text;
}

}  // namespace headrace
