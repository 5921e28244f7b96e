// Looks at all processes again and again, and says of each what it does, how fast and what limits it.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "learned/machine_profile.h"
#include "top/processes.h"
#include "top/rates.h"
#include "top/verdict.h"

namespace headrace::top {

struct Row {
  Process process;
  Rates rates;
  Machine machine;
  Verdict verdict;
};

struct Picture {
  std::vector<Row> rows;  // by pid
  std::vector<std::string> notes;
};

class Watch {
 public:
  // `files`: snapshots beside those that are found.
  explicit Watch(std::vector<std::string> files) : files_(std::move(files)) {}
  // Reads anew. Rates are those since the last time, zero the first time.
  Picture Look();

 private:
  const std::vector<std::string> files_;
  std::map<pid_t, std::deque<Sample>> samples_;
};

// What is known of the machine, for a model on `device`: the youngest measurement.
Machine MachineOf(const cli::ProfileEntries& profiles, uint64_t device, uint64_t probed_disk_bytes_per_s);

}  // namespace headrace::top
