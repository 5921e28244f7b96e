#include "setup/speculation_report.h"

#include <fmt/format.h>

#include "base/json.h"
#include "report/text_table.h"

namespace headrace::cli {
namespace {

constexpr double kAcceptances[] = {0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9};

}  // namespace

Result<SpeculationReport> MakeSpeculationReport(const SpeculationOptions& options, const SpeculationInput& input) {
  auto chosen = ChooseSpeculation(options, input);
  if (!chosen.ok()) return chosen.status();
  SpeculationReport report;
  report.chosen = std::move(*chosen);
  report.learned = input.learned;
  const DraftCost cost =
      DraftCostOf(input.model, input.machine, input.learned, options.uses_draft() || input.head, input.sequences);
  report.draft_token_s = cost.draft_token_s;
  const double plain = cost.TokensPerSecond(0, 0);
  if (!input.model.passes_stream() || !(plain > 0) || report.chosen.kind == SpeculationKind::kUser) return report;
  report.free_tokens = FreeDraftLength(cost);
  for (const double acceptance : kAcceptances) {
    const uint64_t tokens = BestDraftLength(cost, acceptance);
    const double per_s = cost.TokensPerSecond(acceptance, tokens);
    report.rows.push_back({acceptance, tokens, ExpectedTokens(acceptance, tokens), per_s, per_s / plain});
  }
  return report;
}

std::string RenderSpeculationText(const SpeculationReport& report) {
  using Align = TextTable::Align;
  std::string text = report.chosen.line + "\n";
  if (report.rows.empty()) return text;
  TextTable table({Align::kRight, Align::kRight, Align::kRight, Align::kRight, Align::kRight});
  table.AddRow({"right", "draft", "tokens/pass", "tokens/s", "gain"});
  for (const SpeculationRow& row : report.rows) {
    table.AddRow({fmt::format("{:.0f} %", 100 * row.acceptance),
                  row.draft_tokens == 0 ? "none" : fmt::format("{}", row.draft_tokens),
                  fmt::format("{:.2f}", row.tokens_per_pass), fmt::format("{:.2f}", row.tokens_per_s),
                  fmt::format("{:.2f}x", row.gain)});
  }
  text += table.Render();
  text += fmt::format("right: drafted tokens that the model would have chosen too, if those before were; {}\n",
                      report.learned.acceptance_known
                          ? fmt::format("{:.0f} % in earlier runs", 100 * report.learned.acceptance)
                          : "no run has shown yet how many");
  text += fmt::format("draft: the length that is best then; {}\n",
                      report.free_tokens == 0
                          ? "none is free"
                          : fmt::format("up to {} cost next to nothing when none is right", report.free_tokens));
  text += report.learned.passes.empty() ? "predicted from the speed of the disk and the processor\n"
                                        : "from passes that were measured in earlier runs\n";
  if (report.draft_token_s > 0) {
    text += fmt::format("a token of the draft takes {:.1f} ms{}\n", 1000 * report.draft_token_s,
                        report.learned.draft_token_s > 0 ? "" : ", predicted");
  }
  return text;
}

nlohmann::json SpeculationJson(const SpeculationReport& report) {
  const Speculation& chosen = report.chosen;
  Json rows = Json::array();
  for (const SpeculationRow& row : report.rows) {
    rows.push_back({{"acceptance", row.acceptance},
                    {"draft_tokens", row.draft_tokens},
                    {"tokens_per_pass", row.tokens_per_pass},
                    {"tokens_per_s", row.tokens_per_s},
                    {"gain", row.gain}});
  }
  return {{"kind", ToString(chosen.kind)},
          {"reason", chosen.line},
          {"draft_tokens", chosen.draft_tokens},
          {"free_draft_tokens", report.free_tokens},
          {"acceptance", report.learned.acceptance_known ? Json(report.learned.acceptance) : Json()},
          {"draft_token_s", NumberOrNull(report.draft_token_s)},
          {"passes_measured", !report.learned.passes.empty()},
          {"tokens_per_s", NumberOrNull(chosen.tokens_per_s)},
          {"plain_tokens_per_s", NumberOrNull(chosen.plain_tokens_per_s)},
          {"by_acceptance", rows}};
}

}  // namespace headrace::cli
