#include "client/server_report.h"

#include <fmt/format.h>

#include "base/size.h"
#include "report/text_table.h"
#include "report/time_text.h"

namespace headrace::client {
namespace {

// Null of an object that lacks it.
const Json& Member(const Json& object, const char* name) {
  static const Json nothing;
  const Json* member = FindMember(object, name);
  return member == nullptr ? nothing : *member;
}

std::string Requests(const Json& loaded) {
  const uint64_t all = CountOf(loaded, "requests"), waiting = CountOf(loaded, "requests_waiting");
  return waiting == 0 ? std::to_string(all) : fmt::format("{} ({} waiting)", all, waiting);
}

}  // namespace

Json ModelsInMemory(const Json& models) {
  Json kept = Json::array();
  if (!models.is_array()) return kept;
  for (const Json& model : models) {
    const std::string state = TextOf(model, "state");
    if (state != "unloaded" && state != "invalid") kept.push_back(model);
  }
  return kept;
}

std::string RenderServerModels(const Json& answer) {
  using Align = cli::TextTable::Align;
  const Json models = ModelsInMemory(Member(answer, "models"));
  std::string text;
  if (models.empty()) {
    text = "no model is loaded\n";
  } else {
    cli::TextTable table(
        {Align::kLeft, Align::kLeft, Align::kRight, Align::kRight, Align::kRight, Align::kRight, Align::kRight});
    table.AddRow({"MODEL", "STATE", "MEMORY", "RESIDENT", "PER PASS", "REQUESTS", "IDLE"});
    for (const Json& model : models) {
      const Json& loaded = Member(model, "loaded");
      if (!loaded.is_object()) {
        table.AddRow({TextOf(model, "id"), TextOf(model, "state")});
        continue;
      }
      const Json& decision = Member(loaded, "decision");
      const bool streams = IsTrue(decision, "streams");
      table.AddRow({TextOf(model, "id"), TextOf(model, "state"),
                    FormatSize(CountOf(Member(decision, "memory"), "peak_bytes")),
                    streams ? FormatSize(CountOf(decision, "resident_bytes")) : "all",
                    streams ? FormatSize(CountOf(decision, "streamed_bytes_per_pass")) : "-", Requests(loaded),
                    CountOf(loaded, "requests") > 0 ? "-" : cli::TimeText(NumberOf(loaded, "idle_s"))});
    }
    text = table.Render();
  }
  const Json& memory = Member(answer, "memory");
  text += fmt::format("{} of memory left for models ({})\n", FormatSize(CountOf(memory, "available_bytes")),
                      TextOf(memory, "limited_by"));
  return text;
}

std::string LoadProgressText(const Json& event) {
  const std::string phase = TextOf(event, "phase");
  if (phase == "waiting") return "waiting until other models make room";
  if (phase != "reading") return "starting llama-server";
  return fmt::format("reading weights: {} of {}", FormatSize(CountOf(event, "done_bytes")),
                     FormatSize(CountOf(event, "total_bytes")));
}

std::string WaitingText(const Json& waiting) {
  const std::string what = TextOf(waiting, "for"), detail = TextOf(waiting, "detail");
  const uint64_t place = CountOf(waiting, "place");
  std::string text = what == "load"   ? "waiting for the model to be loaded"
                     : what == "turn" ? "waiting for its turn"
                                      : "waiting for the first token";
  if (place > 1) text += fmt::format(", {} before it", place - 1);
  if (const double expected = NumberOf(waiting, "expected_s"); expected > 0)
    text += ", about " + cli::TimeText(expected);
  return detail.empty() ? text : text + ": " + detail;
}

}  // namespace headrace::client
