#include "list/list_report.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/size.h"
#include "models/file_names.h"
#include "models/hub_names.h"
#include "report/exit_status.h"
#include "report/text_table.h"

namespace headrace::list {
namespace {

std::string Speed(double tokens_per_s) {
  if (tokens_per_s <= 0) return "";
  return tokens_per_s < 10 ? fmt::format("{:.2g}", tokens_per_s) : fmt::format("{:.0f}", tokens_per_s);
}

// "Q4_0", or what it is for instead of text.
std::string Type(const ModelEntry& entry) {
  if (entry.kind == ModelKind::kText) return entry.quantization;
  return fmt::format("{}, {}", entry.quantization, ToString(entry.kind));
}

Json TextOrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace

std::string RenderListText(const std::vector<ListedModel>& models, uint64_t memory_bytes) {
  using Align = cli::TextTable::Align;
  cli::TextTable table({Align::kLeft, Align::kRight, Align::kLeft, Align::kLeft, Align::kRight});
  table.AddRow({"NAME", "SIZE", "TYPE", "MEMORY", "TOKENS/S"});
  std::string problems;
  for (const auto& [entry, outlook] : models) {
    table.AddRow(
        {entry.id, FormatSize(entry.size_bytes), Type(entry), ToString(outlook.verdict), Speed(outlook.tokens_per_s)});
    if (!outlook.reason.empty()) problems += fmt::format("{}: {}\n", entry.id, cli::OneLine(outlook.reason));
  }
  std::string text = table.Render();
  if (!problems.empty()) text += "\n" + problems;
  return text + fmt::format("\nwith {} of memory available; tokens/s are predictions. headrace plan NAME says more.\n",
                            FormatSize(memory_bytes));
}

std::string RenderListJson(const std::vector<ListedModel>& models, uint64_t memory_bytes) {
  Json list = Json::array();
  for (const auto& [entry, outlook] : models) {
    list.push_back({{"name", entry.id},
                    {"other_names", entry.other_names},
                    {"path", NameAsText(entry.path)},
                    {"files", entry.files},
                    {"size_bytes", entry.size_bytes},
                    {"kind", ToString(entry.kind)},
                    {"type", TextOrNull(entry.quantization)},
                    {"architecture", TextOrNull(entry.architecture)},
                    {"parameters", entry.parameters},
                    {"context_length", entry.context_length == 0 ? Json() : Json(entry.context_length)},
                    {"verdict", Replaced(ToString(outlook.verdict), " ", "_")},
                    {"tokens_per_s", NumberOrNull(outlook.tokens_per_s)},
                    {"reason", TextOrNull(outlook.reason)}});
  }
  return Json{{"memory_bytes", memory_bytes}, {"models", list}}.dump(2, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

}  // namespace headrace::list
