// Runs a child program of the tests with stock llama.cpp and with libheadrace.so preloaded, and states what
// must hold of both: the same bytes, and weights that were really streamed.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "child.h"
#include "telemetry/snapshot.h"

namespace headrace::testing {

// The library under test; HEADRACE_TEST_LIBRARY in the environment replaces the one that was built.
std::string LibraryPath();

// What one run computes. The arguments are those of logits_dump.
struct Work {
  std::string model;
  bool repack = false;  // stock: --repack; streamed: HEADRACE_KERNELS
  int threads = 2;
  std::vector<int> prompts = {1, 7, 64, 600};
  int decode = 2;
  int ubatch = 512;
  std::vector<std::string> more;                   // further arguments
  std::map<std::string, std::string> environment;  // of both runs
  std::chrono::seconds timeout{120};

  uint64_t Passes() const;  // graph computations, at least
};

struct EngineRun {
  ChildResult child;
  std::string dump;                      // the bytes written, also after a failure
  std::optional<SnapshotView> snapshot;  // of a preloaded run that wrote one
};

// Environment variables of a preloaded run: HEADRACE_FLASH_MODE=on, HEADRACE_WEIGHTS_RAM=budget_bytes.
std::map<std::string, std::string> StreamingEnvironment(uint64_t budget_bytes, bool repack);

// Such a run with a change of the library's own calls (library_calls.c).
std::map<std::string, std::string> WithChangedCalls(std::map<std::string, std::string> environment,
                                                    const std::string& name, const std::string& value);

// cgroup_procs: a cgroup that the child enters, or "".
EngineRun RunStock(const Work& work, const std::string& cgroup_procs = "");
EngineRun RunStreamed(const Work& work, uint64_t budget_bytes, const std::map<std::string, std::string>& more = {},
                      const std::string& cgroup_procs = "");
// Any program that takes --out FILE, with these variables and, with HEADRACE_WEIGHTS_RAM, a snapshot.
EngineRun RunDumper(std::vector<std::string> arguments, std::map<std::string, std::string> environment,
                    std::chrono::seconds timeout = std::chrono::seconds(120), const std::string& cgroup_procs = "");

// The smallest budget, in steps of 64 KiB, in which the work succeeds. 0 when none up to four times the
// file's size plus 64 MiB does.
uint64_t FloorBudget(Work work);

// Both succeeded and wrote the same bytes.
::testing::AssertionResult SameBytes(const EngineRun& stock, const EngineRun& run);
// The run failed cleanly: an error of llama's, one line or more of headrace's, no signal, no time-out, and
// what it had written by then is what stock wrote first.
::testing::AssertionResult FailedCleanly(const EngineRun& stock, const EngineRun& run);
// The counters prove that weights came from disk in every pass, and that the budget was kept.
::testing::AssertionResult ReallyStreamed(const EngineRun& run, uint64_t budget_bytes, uint64_t passes);
// The counters prove that headrace computed from resident weights.
::testing::AssertionResult ReallyManaged(const EngineRun& run, uint64_t budget_bytes, uint64_t passes);

}  // namespace headrace::testing
