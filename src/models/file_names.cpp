#include "models/file_names.h"

#include <algorithm>
#include <cctype>
#include <iterator>

#include <fmt/format.h>

#include "base/letters.h"
#include "base/split_name.h"
#include "base/utf8.h"

namespace headrace {
namespace {

constexpr std::string_view kSuffix = ".gguf";
constexpr std::string_view kProjector = "mmproj";
constexpr std::string_view kBesideModels[] = {kProjector, "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-"};
constexpr std::string_view kFamilies[] = {"IQ",   "TQ", "Q",  "MXFP",
                                          "NVFP", "BF", "FP", "F"};  // each with a number behind it

// "Q4_K_M", "F16": a family, a number, and words behind it.
bool IsQuantization(std::string_view word) {
  for (const std::string_view family : kFamilies) {
    if (!word.starts_with(family) || word.size() == family.size() ||
        std::isdigit(static_cast<unsigned char>(word[family.size()])) == 0)
      continue;
    size_t end = family.size();
    while (end < word.size() && std::isdigit(static_cast<unsigned char>(word[end])) != 0) ++end;
    return end == word.size() || word[end] == '_';
  }
  return false;
}

}  // namespace

std::string LastName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string WithoutModelSuffix(std::string path) {
  if (path.size() > kSuffix.size() && EndsIgnoringCase(path, kSuffix)) path.resize(path.size() - kSuffix.size());
  return path;
}

std::string ModelStem(const std::string& path) {
  const auto split = ParseSplitName(path);
  return split ? split->prefix : WithoutModelSuffix(path);
}

bool IsModelFileName(const std::string& name) {
  if (name.starts_with("._") || !EndsIgnoringCase(name, kSuffix)) return false;
  const auto split = ParseSplitName(name);
  return !split || split->part == 1;  // a model is known by its first part
}

bool IsBesideModel(const std::string& path) {
  const std::string name = LastName(path);
  return std::any_of(std::begin(kBesideModels), std::end(kBesideModels),
                     [&](std::string_view part) { return name.find(part) != std::string::npos; });
}

bool IsProjectorName(const std::string& path) { return LastName(path).find(kProjector) != std::string::npos; }

std::string QuantizationIn(const std::string& path) {
  std::string stem = LastName(ModelStem(path));
  std::transform(stem.begin(), stem.end(), stem.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string found;
  for (size_t begin = 0; begin <= stem.size();) {
    const size_t end = std::min(stem.find_first_of("-.", begin), stem.size());
    const std::string word = stem.substr(begin, end - begin);
    // Some begin with the maker's mark: "UD-Q4_K_XL".
    if (IsQuantization(word)) found = begin >= 3 && stem.compare(begin - 3, 3, "UD-") == 0 ? "UD-" + word : word;
    begin = end + 1;
  }
  return found;
}

std::string NameAsText(const std::string& name) {
  std::string text;
  for (size_t at = 0; at < name.size();) {
    const size_t length = Utf8Length(std::string_view(name).substr(at));
    const auto first = static_cast<unsigned char>(name[at]);
    // 0x80 to 0x9f, in two bytes, are control characters too.
    const bool control = first < 0x20 || first == 0x7f ||
                         (length == 2 && first == 0xc2 && static_cast<unsigned char>(name[at + 1]) < 0xa0);
    if (length > 0 && !control) {
      text += name.substr(at, length);
      at += length;
      continue;
    }
    for (const size_t end = at + std::max<size_t>(1, length); at < end; ++at)
      text += fmt::format("%{:02X}", static_cast<unsigned char>(name[at]));
  }
  return text;
}

}  // namespace headrace
