#include "engine_run.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/size.h"
#include "dump.h"
#include "models.h"

namespace headrace::testing {
namespace {

using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;

std::vector<std::string> Arguments(const Work& work) {
  std::string prompts;
  for (const int prompt : work.prompts) prompts.append(prompts.empty() ? "" : ",").append(std::to_string(prompt));
  std::vector<std::string> arguments = {
      HEADRACE_LOGITS_DUMP,         "--model",   work.model, "--repack", work.repack ? "1" : "0",     "--threads",
      std::to_string(work.threads), "--prompts", prompts,    "--decode", std::to_string(work.decode), "--ubatch",
      std::to_string(work.ubatch)};
  arguments.insert(arguments.end(), work.more.begin(), work.more.end());
  return arguments;
}

std::string CountersOf(const Snapshot& s) {
  std::ostringstream text;
  text << "state " << s.state << ", models " << s.models << ", budget " << s.budget_bytes << ", weights "
       << s.weight_bytes << ", resident " << s.resident_bytes << " of " << s.resident_target_bytes
       << ", streamed a pass " << s.streamed_bytes_per_pass << ", ring " << s.ring_bytes << ", scratch "
       << s.scratch_bytes << ", experts " << s.expert_resident_bytes << " in " << s.expert_cache_bytes << " of "
       << s.expert_bytes << ", hits " << s.expert_hits << " of " << s.experts_chosen << ", passes " << s.passes
       << ", read " << s.bytes_read << ", last error '" << s.last_error << "'";
  return text.str();
}

}  // namespace

uint64_t Work::Passes() const {
  uint64_t passes = 0;
  for (const int prompt : prompts) passes += static_cast<uint64_t>((prompt + ubatch - 1) / ubatch + decode);
  return passes;
}

std::string LibraryPath() {
  const char* replaced = std::getenv("HEADRACE_TEST_LIBRARY");
  return replaced != nullptr ? replaced : HEADRACE_LIBRARY;
}

std::map<std::string, std::string> StreamingEnvironment(uint64_t budget_bytes, bool repack) {
  return {{"LD_PRELOAD", LibraryPath()},
          {"HEADRACE_FLASH_MODE", "on"},
          {"HEADRACE_WEIGHTS_RAM", std::to_string(budget_bytes)},
          {"HEADRACE_KERNELS", repack ? "repack" : "plain"},
          {"HEADRACE_REMEMBER", "0"}};  // a run must not depend on those before, nor write into the user's folders
}

std::map<std::string, std::string> WithChangedCalls(std::map<std::string, std::string> environment,
                                                    const std::string& name, const std::string& value) {
  environment["LD_PRELOAD"].append(" ").append(HEADRACE_LIBRARY_CALLS);
  environment[name] = value;
  return environment;
}

EngineRun RunDumper(std::vector<std::string> arguments, std::map<std::string, std::string> environment,
                    std::chrono::seconds timeout, const std::string& cgroup_procs) {
  static int number = 0;
  const std::string stem = WorkDirectory() + "/" + std::to_string(number++);
  const std::string dump = stem + ".dump";
  const std::string snapshot = stem + ".snapshot";
  arguments.insert(arguments.end(), {"--out", dump});
  if (environment.count("HEADRACE_WEIGHTS_RAM") + environment.count("HEADRACE_KV_DIR") > 0)
    environment.emplace("HEADRACE_SNAPSHOT", snapshot);
  ChildOptions options;
  options.environment = std::move(environment);
  options.timeout = timeout;
  options.cgroup_procs = cgroup_procs;
  EngineRun run;
  run.child = RunChild(arguments, options);
  run.dump = ReadWholeFile(dump);
  if (auto view = SnapshotView::Open(snapshot); view.ok()) run.snapshot.emplace(std::move(view).value());
  std::error_code ignored;
  std::filesystem::remove(dump, ignored);
  std::filesystem::remove(snapshot, ignored);
  return run;
}

EngineRun RunStock(const Work& work, const std::string& cgroup_procs) {
  return RunDumper(Arguments(work), work.environment, work.timeout, cgroup_procs);
}

EngineRun RunStreamed(const Work& work, uint64_t budget_bytes, const std::map<std::string, std::string>& more,
                      const std::string& cgroup_procs) {
  auto environment = StreamingEnvironment(budget_bytes, work.repack);
  environment.insert(work.environment.begin(), work.environment.end());
  for (const auto& [name, value] : more) environment[name] = value;
  return RunDumper(Arguments(work), std::move(environment), work.timeout, cgroup_procs);
}

uint64_t FloorBudget(Work work) {
  constexpr uint64_t kStep = 64 * kKiB;
  // The widest and the narrowest pass decide.
  work.prompts = {*std::max_element(work.prompts.begin(), work.prompts.end()), 1};
  work.decode = 0;
  uint64_t fails = 0, works = 0;
  const uint64_t file = FileBytes(work.model);
  for (const uint64_t budget : {file / 4, file, 4 * file + 64 * kMiB}) {
    const uint64_t aligned = AlignUp(budget, kStep);
    (RunStreamed(work, aligned).child.Ok() ? works : fails) = aligned;
    if (works > 0) break;
  }
  if (works == 0) return 0;
  while (works - fails > kStep) {
    const uint64_t middle = AlignDown((works + fails) / 2, kStep);
    (RunStreamed(work, middle).child.Ok() ? works : fails) = middle;
  }
  return works;
}

AssertionResult SameBytes(const EngineRun& stock, const EngineRun& run) {
  if (!stock.child.Ok()) return AssertionFailure() << "stock llama.cpp failed\n" << stock.child.Describe();
  if (!run.child.Ok()) return AssertionFailure() << "the run failed\n" << run.child.Describe();
  const std::string difference = DumpDifference(stock.dump, run.dump);
  if (difference.empty()) return AssertionSuccess();
  return AssertionFailure() << difference << "\n" << run.child.Describe();
}

AssertionResult FailedCleanly(const EngineRun& stock, const EngineRun& run) {
  const ChildResult& child = run.child;
  if (child.timed_out || child.signal != 0 || child.exit_code != 1) {
    return AssertionFailure() << "not a clean failure\n" << child.Describe();
  }
  if (Lines(child.err, "headrace: ").empty())
    return AssertionFailure() << "headrace said nothing\n" << child.Describe();
  if (Lines(child.err, "headrace: ").size() > 3)
    return AssertionFailure() << "headrace said too much\n" << child.Describe();
  if (!stock.dump.starts_with(run.dump))
    return AssertionFailure() << "wrong outputs before it failed\n" << child.Describe();
  return AssertionSuccess();
}

AssertionResult ReallyManaged(const EngineRun& run, uint64_t budget_bytes, uint64_t passes) {
  if (!run.snapshot) return AssertionFailure() << "no telemetry snapshot was written\n" << run.child.Describe();
  const Snapshot& s = **run.snapshot;
  const auto fail = [&](const char* what) { return AssertionFailure() << what << ": " << CountersOf(s); };
  if (s.weight_bytes == 0) return fail("no weights are managed");
  if (s.passes < passes) return fail("fewer passes than the program made");
  // A layout of resident rows may need more memory than the file's, which is read.
  if (s.bytes_read < std::min(s.resident_bytes.load(), s.weight_bytes - s.expert_bytes))
    return fail("less was read than is resident");
  if (s.resident_bytes + s.ring_bytes + s.scratch_bytes + s.expert_cache_bytes + s.row_memory_bytes > budget_bytes)
    return fail("more memory than the budget");
  if (s.budget_bytes > budget_bytes) return fail("a larger budget than was given");
  if (s.wait_ns + s.kernel_ns + s.own_ns > s.pass_ns) return fail("the parts of the time are more than the whole");
  if (s.tokens < s.passes || s.process_bytes == 0 || s.model_device == 0) return fail("statistics are missing");
  return AssertionSuccess();
}

AssertionResult ReallyStreamed(const EngineRun& run, uint64_t budget_bytes, uint64_t passes) {
  if (const AssertionResult managed = ReallyManaged(run, budget_bytes, passes); !managed) return managed;
  const Snapshot& s = **run.snapshot;
  // Experts are never all resident by the plan: what is in their cache was read as they were chosen.
  if (s.streamed_bytes_per_pass == 0 && s.expert_bytes == 0)
    return AssertionFailure() << "nothing is streamed: " << CountersOf(s);
  if (s.bytes_read < passes * s.streamed_bytes_per_pass) {
    return AssertionFailure() << "less was read than " << passes << " passes stream: " << CountersOf(s);
  }
  return AssertionSuccess();
}

}  // namespace headrace::testing
