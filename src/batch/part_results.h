// What becomes of each request of a part: its result is written, it is done again, or it shows that all must end.
#pragma once

#include <string>
#include <unordered_map>

#include "batch/part_plan.h"
#include "batch/result_file.h"
#include "batch/schedule.h"
#include "batch/tally.h"
#include "llama_server/lone_server.h"

namespace headrace::batch {

// Lives on the loop; all that it is made with outlives it.
class PartResults {
 public:
  PartResults(const BatchOptions& options, const PartPlan& plan, const RequestFile& requests,
              const serve::LoneServer& server, Schedule& schedule, ResultFile& results, Tally& tally)
      : options_(options),
        plan_(plan),
        requests_(requests),
        server_(server),
        schedule_(schedule),
        results_(results),
        tally_(tally) {}

  // The work that a request with so many tokens of prompts will be, for the tally; again when they are counted.
  void Foresee(size_t request, uint64_t prompt_tokens);

  // Each returns why everything has to end, if it has to.
  // A whole answer; one that is an error may not be the request's own.
  Status TakeAnswer(size_t request, int status, const std::string& body);
  // The connection broke, and the engine lives on.
  Status TakeBrokenAnswer(size_t request, const std::string& why);
  // The engine ended, and what it was doing with it.
  Status TakeCrash();

 private:
  const RequestEntry& Entry(size_t request) const { return requests_.entries()[request]; }
  bool EndedByContext(size_t request, uint64_t tokens) const;
  Status Fail(size_t request, const std::string& line, const std::string& why);
  Status Write(size_t request, const std::string& line, bool failed);
  Status CheckStreaming();

  const BatchOptions& options_;
  const PartPlan& plan_;
  const RequestFile& requests_;
  const serve::LoneServer& server_;
  Schedule& schedule_;
  ResultFile& results_;
  Tally& tally_;
  std::unordered_map<size_t, Work> work_;  // as foreseen
  std::unordered_map<size_t, unsigned> attempts_;
  unsigned crashes_ = 0, given_up_ = 0;  // since the last result
  bool streams_ = false;                 // that was seen
};

}  // namespace headrace::batch
