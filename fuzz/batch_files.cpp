// A batch's requests and what an earlier run left of its results, whole or torn: where they are accepted each request
// gets one result, and the results that were sound are kept.
#include "batch/request_file.h"
#include "batch/result_file.h"
#include "batch/result_line.h"
#include "fuzz.h"

using namespace headrace;
using namespace headrace::batch;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto parts = fuzz::Parts(fuzz::Text(data, size));
  const auto requests = RequestFile::Open(fuzz::WriteFile("requests.jsonl", parts[0]));
  if (!requests.ok()) {
    fuzz::RequireOneLine(requests.status().message());
    return 0;
  }
  for (const RequestEntry& entry : requests->entries()) {
    if (entry.problem.empty()) fuzz::Require(requests->Read(entry).ok(), "a sound request cannot be read again");
  }
  const std::string path = fuzz::WriteFile("results.jsonl", parts.size() > 1 ? parts[1] : "");
  const Existing existing = parts.size() > 2 ? Existing::kRetryErrors : Existing::kResume;
  {
    auto results = ResultFile::Open(path, *requests, existing);
    if (!results.ok()) {
      fuzz::RequireOneLine(results.status().message());
      return 0;
    }
    for (const RequestEntry& entry : requests->entries()) {
      if (results->Has(entry)) continue;
      const Status added = results->Append(entry.problem.empty() ? ResponseLine(entry, 200, "{}")
                                                                 : ErrorLine(entry, "x", entry.problem));
      fuzz::Require(added.ok(), "a result cannot be added");
    }
  }
  const auto again = ResultFile::Open(path, *requests, Existing::kResume);
  fuzz::Require(again.ok() && again->damaged() == 0, "results that were completed cannot be read");
  for (const RequestEntry& entry : requests->entries()) fuzz::Require(again->Has(entry), "a result was lost");
  return 0;
}
