#include "models/modelfile_lines.h"

#include <algorithm>
#include <cctype>
#include <iterator>

#include <fmt/format.h>

#include "base/shown.h"

namespace headrace::cli {
namespace {

constexpr std::string_view kTriple = "\"\"\"";

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (IsBlank(text.front()) || text.front() == '\n')) text.remove_prefix(1);
  while (!text.empty() && (IsBlank(text.back()) || text.back() == '\n')) text.remove_suffix(1);
  return text;
}

// Reads from `rest`, counting lines.
class Lines {
 public:
  explicit Lines(std::string_view rest) : rest_(rest) {}
  bool Next(std::string_view& line) {
    if (rest_.empty()) return false;
    const size_t end = rest_.find('\n');
    line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number_;
    return true;
  }
  size_t number() const { return number_; }

 private:
  std::string_view rest_;
  size_t number_ = 0;
};

std::string_view TakeWord(std::string_view& text) {
  const size_t end = static_cast<size_t>(std::find_if(text.begin(), text.end(), IsBlank) - text.begin());
  const std::string_view word = text.substr(0, end);
  text = Trim(text.substr(end));
  return word;
}

// A line that begins as a command does: a short value that would go on there lacks its quote.
bool IsCommand(std::string_view line) {
  constexpr std::string_view kBeginnings[] = {"FROM",    "PARAMETER", "SYSTEM",  "TEMPLATE",
                                              "ADAPTER", "LICENSE",   "MESSAGE", "FLASH"};
  line = Trim(line);
  return std::any_of(std::begin(kBeginnings), std::end(kBeginnings),
                     [&](std::string_view beginning) { return line.starts_with(beginning); });
}

// The value that begins with `first`; a quoted one may go on over further lines, but if it is no `long_text` not over a
// command. False: its quote has no end.
bool TakeValue(std::string_view first, bool long_text, Lines& lines, std::string& value) {
  const std::string_view quote = first.starts_with(kTriple) ? kTriple
                                 : first.starts_with('"')   ? std::string_view("\"")
                                                            : std::string_view();
  if (quote.empty()) {
    value = first;
    return true;
  }
  first.remove_prefix(quote.size());
  for (;;) {
    const std::string_view line = Trim(first);
    if (line.ends_with(quote)) {
      // The blanks before the end belong to the value.
      value.append(first.substr(0, first.rfind(quote)));
      return true;
    }
    value.append(first).push_back('\n');
    if (!lines.Next(first) || (!long_text && quote != kTriple && IsCommand(first))) return false;
  }
}

}  // namespace

Status ModelfileError(const std::string& file, size_t line, const std::string& what) {
  return Status(Code::kInvalidArgument, fmt::format("{}:{}: {}", file, line, what));
}

Result<std::vector<ModelfileCommand>> SplitModelfile(std::string_view text, const std::string& file) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // byte order mark
  if (const size_t at = text.find('\0'); at != std::string_view::npos) {
    const auto line =
        static_cast<size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n')) + 1;
    return ModelfileError(file, line, "there is a NUL byte: a Modelfile is UTF-8 text");
  }
  std::vector<ModelfileCommand> commands;
  Lines lines(text);
  for (std::string_view line; lines.Next(line);) {
    line = Trim(line);
    if (line.empty() || line.starts_with('#')) continue;
    ModelfileCommand command;
    command.line = lines.number();
    command.keyword = TakeWord(line);
    std::transform(command.keyword.begin(), command.keyword.end(), command.keyword.begin(),
                   [](char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); });
    if (command.keyword == "PARAMETER" || command.keyword == "MESSAGE") command.name = TakeWord(line);
    if (line.empty()) {
      const std::string what = Shown(command.keyword) + (command.name.empty() ? "" : " " + Shown(command.name));
      return ModelfileError(file, command.line, fmt::format("{} has no value", what));
    }
    if (!TakeValue(line, command.keyword != "PARAMETER", lines, command.value)) {
      return ModelfileError(file, command.line,
                            fmt::format("the quote that begins here has no end; close it with {}",
                                        line.starts_with(kTriple) ? kTriple : "\""));
    }
    commands.push_back(std::move(command));
  }
  return commands;
}

}  // namespace headrace::cli
