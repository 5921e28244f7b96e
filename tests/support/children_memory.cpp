#include "children_memory.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>

#include "base/size.h"

namespace headrace::cli {
namespace {

// Of one process in bytes, over all mappings but those of models; 0 when it is gone.
uint64_t SumOfMappings(const std::string& process, const std::string& field) {
  std::ifstream mappings(process + "/smaps");
  uint64_t kib = 0;
  bool model = false;
  for (std::string line; std::getline(mappings, line);) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (first.find('-') != std::string::npos && first.back() != ':') {
      model = line.ends_with(".gguf");
    } else if (first == field && !model) {
      uint64_t value = 0;
      words >> value;
      kib += value;
    }
  }
  return kib * kKiB;
}

uint64_t LargestOfChildren(pid_t command, const std::string& field) {
  const std::string process = "/proc/" + std::to_string(command);
  std::ifstream children(process + "/task/" + std::to_string(command) + "/children");
  uint64_t largest = 0;
  for (std::string child; children >> child;) largest = std::max(largest, SumOfMappings("/proc/" + child, field));
  return largest;
}

}  // namespace

uint64_t MemoryOfChildren(pid_t command) { return LargestOfChildren(command, "Rss:"); }

uint64_t SwappedOfChildren(pid_t command) { return LargestOfChildren(command, "Swap:"); }

PeakOfChildren::PeakOfChildren(pid_t command)
    : sampler_([this, command] {
        while (!done_) {
          peak_ = std::max(peak_, MemoryOfChildren(command));
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
      }) {}

uint64_t PeakOfChildren::Finish() {
  done_ = true;
  sampler_.join();
  return peak_;
}

}  // namespace headrace::cli
