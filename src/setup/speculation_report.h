// What `headrace plan` says about speculative decoding: what would be chosen, and what it would gain by how many
// drafted tokens are right. Pure.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "setup/speculation.h"

namespace headrace::cli {

// The best length at an acceptance.
struct SpeculationRow {
  double acceptance = 0;
  uint64_t draft_tokens = 0;  // 0: drafting does not pay
  double tokens_per_pass = 1;
  double tokens_per_s = 0;
  double gain = 1;  // times the tokens per second without
};

struct SpeculationReport {
  Speculation chosen;
  Learned learned;
  double draft_token_s = 0;          // learned or predicted; 0: unknown, or n-grams
  uint64_t free_tokens = 0;          // FreeDraftLength
  std::vector<SpeculationRow> rows;  // by acceptance; none where the cost of a pass is not known or nothing streams
};

// Errors: those of ChooseSpeculation.
Result<SpeculationReport> MakeSpeculationReport(const SpeculationOptions& options, const SpeculationInput& input);

std::string RenderSpeculationText(const SpeculationReport& report);
// The keys are stable; unknown numbers are null.
nlohmann::json SpeculationJson(const SpeculationReport& report);

}  // namespace headrace::cli
