// Proves an engine: the bundled models computed with streamed weights, and by the engine alone.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/status.h"
#include "engine/engine_probe.h"
#include "engine/engine_verdict.h"
#include "setup/model_setup.h"

namespace headrace::check {

// One model with one kind of kernels.
struct CheckCase {
  std::string name;   // for people
  std::string model;  // path
  Kernels kernels = Kernels::kPlain;
  uint64_t weights_bytes = 0;  // memory for its weights: less than they need
};

enum class Outcome {
  kSame,  // text and probabilities, to the last digit
  kDiffers,
  kFailed,  // one of both gave no answer, or nothing streamed
};
struct CaseResult {
  Outcome outcome = Outcome::kFailed;
  std::string text;  // what is different or why it failed; else what was read
  int signal = 0;    // that interrupted it
};

// All cases. Errors: kNotFound where the bundled models are missing.
Result<std::vector<CheckCase>> CheckCases(const cli::SearchPaths& paths);

// `engine` has llama-server as its program, whose options `known` lists.
CaseResult RunCase(const CheckCase& test, const cli::EngineSetup& engine, const cli::OptionNames& known);

// Of all results: the same only when all are.
cli::EngineVerdict Judge(const std::vector<CaseResult>& results, int64_t now);

}  // namespace headrace::check
