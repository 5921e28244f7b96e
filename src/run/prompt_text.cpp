#include "run/prompt_text.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "http/http.h"

namespace headrace::run {
namespace {

constexpr std::string_view kEscapes = "nrt'\"\\", kMeanings = "\n\r\t'\"\\";

}  // namespace

std::string ProcessEscapes(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t known = text.size() > 1 && text[0] == '\\' ? kEscapes.find(text[1]) : std::string_view::npos;
    unsigned char byte = 0;
    if (known != std::string_view::npos) {
      result += kMeanings[known];
      text.remove_prefix(2);
    } else if (text.size() >= 4 && text.starts_with("\\x") &&
               std::from_chars(text.data() + 2, text.data() + 4, byte, 16).ptr == text.data() + 4) {
      result += static_cast<char>(byte);
      text.remove_prefix(4);
    } else {
      result += text.front();
      text.remove_prefix(1);
    }
  }
  return result;
}

Result<std::string> PromptText(const std::optional<std::string>& prompt, const std::optional<std::string>& prompt_file,
                               bool escapes) {
  std::string text = prompt.value_or("");
  if (!prompt) {
    std::ifstream file(*prompt_file, std::ios::binary);
    if (!file) return Status(Code::kNotFound, fmt::format("cannot read {}: {}", *prompt_file, std::strerror(errno)));
    text.assign(std::istreambuf_iterator<char>(file), {});
    if (file.bad()) return Status(Code::kIo, fmt::format("cannot read {}", *prompt_file));
    if (text.ends_with('\n')) text.pop_back();
  }
  if (escapes) text = ProcessEscapes(text);
  if (JsonOrNull(serve::Dump(Json(text))) != Json(text)) return Status(Code::kUnsupported, "the prompt is not UTF-8");
  return text;
}

}  // namespace headrace::run
