// Runs the requests of one kind: the engine is started for them, and again when it dies; results are written as they
// come.
#pragma once

#include "base/status.h"
#include "batch/part_plan.h"
#include "batch/result_file.h"
#include "batch/tally.h"

namespace headrace::batch {

struct PartEnd {
  Status status;   // what made it end before all had a result
  int signal = 0;  // that did, 0: none
};

// Adds to `tally`, and says on standard error how far it is. Results that were written stay, however it ends.
PartEnd RunPart(const BatchOptions& options, const EngineChoice& engine, const PartPlan& plan,
                const RequestFile& requests, const Part& part, const std::string& socket_path, ResultFile& results,
                Tally& tally);

}  // namespace headrace::batch
