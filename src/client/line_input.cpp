#include "client/line_input.h"

#include <clocale>
#include <cstdlib>
#include <memory>

// After the others: it defines short names.
#include <editline/readline.h>

namespace headrace::client {
namespace {

// Before the prompt is drawn: libedit takes the terminal over only after it, and a Ctrl-D typed between the two is
// lost.
int TakeTerminal() {
  rl_prep_terminal(1);
  return 0;
}

}  // namespace

std::optional<std::string> ReadMessage() {
  // For the width of characters; nothing else of this program depends on it.
  static const char* const locale = std::setlocale(LC_CTYPE, "");
  static_cast<void>(locale);
  rl_pre_input_hook = TakeTerminal;
  std::string message;
  while (true) {
    const std::unique_ptr<char, decltype(&std::free)> line(readline(message.empty() ? "> " : "… "), std::free);
    if (line == nullptr) return std::nullopt;
    std::string text = line.get();
    const bool goes_on = text.ends_with('\\');
    if (goes_on) text.back() = '\n';
    message += text;
    if (!goes_on) break;
  }
  if (!message.empty()) add_history(message.c_str());
  return message;
}

}  // namespace headrace::client
