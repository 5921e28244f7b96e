// speculation.json: whatever is in it, what is kept of it stays the same.
#include "fuzz.h"
#include "learned/learned.h"

using namespace headrace;
using namespace headrace::cli;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  LearnedFile file = ParseLearned(fuzz::Text(data, size));
  const std::string rendered = RenderLearned(file);
  fuzz::Require(RenderLearned(ParseLearned(rendered)) == rendered, "what was written is read as something else");
  constexpr int64_t kNow = 1'700'000'000;
  std::string passes = "p", draft = "d";
  if (!file.passes.empty()) passes = file.passes.begin()->first;
  if (!file.drafts.empty()) draft = file.drafts.begin()->first;
  const Learned known = Look(file, passes, draft, kNow);
  fuzz::Require(!known.acceptance_known || (known.acceptance >= 0 && known.acceptance <= 1),
                "an acceptance is no share");
  SpeculationRun run;
  run.draft_tokens = 3;
  run.drafted = 30;
  run.accepted = 20;
  AddRun(file, passes, draft, run, kNow);
  (void)RenderLearned(file);
  return 0;
}
