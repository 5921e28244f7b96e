// Judges what was found out about a machine: each check has a value, a verdict and what to do. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "commands/system_info.h"
#include "engine/devices.h"
#include "engine/engine_probe.h"
#include "engine/engine_verdict.h"
#include "engine/processor.h"
#include "learned/machine_measure.h"
#include "learned/mirror_speeds.h"
#include "memory/available.h"
#include "memory/cgroup.h"

namespace headrace::cli {

enum class Verdict { kGood, kNote, kBad };
const char* ToString(Verdict verdict);  // "good", "note", "bad"

struct Check {
  std::string key;  // stable, for JSON: "disk", "read_ahead"
  std::string value;
  Verdict verdict = Verdict::kGood;
  std::string advice;  // what to do, or why there is nothing to do
};

struct DoctorFacts {
  std::string disk_path;  // what was read
  std::optional<DiskSpeed> direct, buffered;
  std::string disk_problem;  // why they are missing
  std::string file_system;
  std::optional<uint64_t> read_ahead_kib;
  std::optional<MemoryInfo> memory;
  std::optional<CgroupLimit> cgroup;
  AvailableMemory available;
  std::optional<uint64_t> memlock_bytes;  // nullopt: unlimited
  std::string huge_pages;                 // the selected mode, "" unknown
  std::string cpu_model;
  std::set<std::string> cpu_flags;
  unsigned cpus = 0;
  std::string engine_problem;  // why there is none, "" when there is one
  std::string engine_directory, engine_version;
  GgmlCheck ggml;
  std::optional<EngineVerdict> verdict;  // of `headrace engine check`
  bool device_library = false;           // it has a library for devices
  std::vector<Device> devices;
  std::vector<CopySpeed> copies;   // to them, as far as they could be measured
  std::string model;               // that mirrors are of
  std::vector<DriveSpeed> drives;  // that it is read from, if there are mirrors
  std::vector<MirrorProblem> mirror_problems;
  std::string library;  // libheadrace.so, "" when missing
  std::string library_problem;
};

std::vector<Check> JudgeDoctor(const DoctorFacts& facts);

std::string RenderDoctorText(const std::vector<Check>& checks);
// {"checks": [{key, value, verdict, advice}], "facts": {…bytes…}} with stable keys.
std::string RenderDoctorJson(const std::vector<Check>& checks, const DoctorFacts& facts);

}  // namespace headrace::cli
