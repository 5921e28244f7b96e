// Runs headrace batch over requests of its own, and reads its results.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "command_runner.h"

namespace headrace::batch {

using Json = nlohmann::json;

using cli::Eventually;
using cli::Has;

class BatchTest : public cli::CommandTest {
 protected:
  // One completion, always the same text; all its tokens are generated.
  static Json Completion(const std::string& custom_id, const std::string& prompt, int tokens);
  // So many of them, "r0", "r1", ..., of different prompts.
  static std::string Completions(int count, int tokens);
  void WriteRequests(const std::string& text) { tree_.File("requests.jsonl", text); }

  std::vector<std::string> Command(std::vector<std::string> more = {}) const;
  cli::Outcome Batch(const std::vector<std::string>& more = {}) { return Run(Command(more)); }

  std::string ResultsPath() const { return tree_.Path("results.jsonl"); }
  std::string ResultsText() const;
  // Each line of the results; a failure where one is no JSON, or not whole.
  std::vector<Json> Results() const;
  // Results by custom_id, each of which is there once.
  std::map<std::string, Json> ResultsById() const;
  // The text of each completion, by custom_id; a failure where it is no answer.
  std::map<std::string, std::string> Texts() const;
  // All `count` are answered, and as their prompts want it. The engine's kernels round differently by the width of a
  // pass and the place in the KV cache, so greedy texts part after a while: only their beginnings are compared.
  void ExpectAllAnswered(size_t count) const;
  static std::string Beginning(const std::string& text) { return text.substr(0, 12); }
  size_t Lines() const;
};

}  // namespace headrace::batch
