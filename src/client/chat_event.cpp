#include "client/chat_event.h"

#include <fmt/format.h>

#include "client/server_report.h"

namespace headrace::client {
namespace {

const Json* FirstChoice(const Json& event) {
  const Json* choices = FindMember(event, "choices");
  return choices != nullptr && choices->is_array() && !choices->empty() ? &choices->front() : nullptr;
}

std::string NewsOf(const Json& event) {
  if (const Json* waiting = FindMember(event, "waiting"); waiting != nullptr && waiting->is_object())
    return WaitingText(*waiting);
  const Json* progress = FindMember(event, "prompt_progress");
  if (progress == nullptr || CountOf(*progress, "total") == 0) return "";
  return fmt::format("reading the prompt: {} of {} tokens", CountOf(*progress, "processed"),
                     CountOf(*progress, "total"));
}

}  // namespace

ChatEvent ParseChatEvent(std::string_view data) {
  ChatEvent event;
  const Json json = JsonOrNull(data);
  if (!json.is_object()) return event;
  if (const Json* error = FindMember(json, "error"); error != nullptr && !error->is_null()) {
    event.error = error->is_string() ? error->get<std::string>() : TextOf(*error, "message");
    if (event.error.empty()) event.error = "the server ended the answer without a reason";
    return event;
  }
  event.model = TextOf(json, "model");
  event.news = NewsOf(json);
  if (const Json* usage = FindMember(json, "usage"); usage != nullptr && usage->is_object()) event.usage = *usage;
  if (const Json* timings = FindMember(json, "timings"); timings != nullptr && timings->is_object())
    event.timings = *timings;
  if (const Json* choice = FirstChoice(json); choice != nullptr) {
    event.finish_reason = TextOf(*choice, "finish_reason");
    if (const Json* delta = FindMember(*choice, "delta"); delta != nullptr) {
      event.content = TextOf(*delta, "content");
      event.reasoning = TextOf(*delta, "reasoning_content");
    }
  }
  return event;
}

std::string ForTerminal(std::string_view text) {
  std::string shown;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) continue;
    // U+0080 to U+009F.
    if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      ++i;
      continue;
    }
    shown += text[i];
  }
  return shown;
}

}  // namespace headrace::client
