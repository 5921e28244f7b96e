// A real memory cgroup for a test, removed at its end. Needs root and a memory controller.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace headrace {

class MemoryGroup {
 public:
  // Without a limit when that is 0; inside of `parent`, which outlives it, when there is one.
  explicit MemoryGroup(uint64_t limit_bytes, const MemoryGroup* parent = nullptr) {
    version1_ = access("/sys/fs/cgroup/memory/memory.limit_in_bytes", F_OK) == 0;
    const std::string root = version1_ ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";
    path_ = parent != nullptr ? parent->path_ + "/inner" : root + "/headrace-test-" + std::to_string(getpid());
    if (mkdir(path_.c_str(), 0755) != 0) {
      path_.clear();
      return;
    }
    usable_ = limit_bytes == 0 || SetLimit(limit_bytes);
  }
  ~MemoryGroup() {
    if (!path_.empty()) rmdir(path_.c_str());
  }
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;

  bool usable() const { return usable_; }
  const std::string& path() const { return path_; }
  std::string procs() const { return path_ + "/cgroup.procs"; }
  // False when more is in use than that: version 1 refuses, and version 2 would kill.
  bool SetLimit(uint64_t bytes) const {
    if (version1_) return Write("memory.limit_in_bytes", bytes);
    return Unreclaimable() <= bytes && Write("memory.max", bytes);
  }
  // Lowers the limit in steps, as version 1 refuses a limit that is below what is in use; `wait` runs between them.
  // False when it does not get there.
  template <typename Wait>
  bool LowerLimit(uint64_t from, uint64_t to, Wait wait) const {
    for (uint64_t limit = from; limit > to;) {
      const uint64_t next = limit - limit / 10 < to ? to : limit - limit / 10;
      if (SetLimit(next)) {
        limit = next;
      } else if (!wait()) {
        return false;
      }
    }
    return true;
  }
  // The most that was charged at once, page cache included.
  uint64_t Peak() const { return Read(version1_ ? "memory.max_usage_in_bytes" : "memory.peak"); }
  // Processes of the group that the kernel killed for want of memory.
  uint64_t Kills() const {
    std::ifstream stream(path_ + (version1_ ? "/memory.oom_control" : "/memory.events"));
    uint64_t value = 0;
    for (std::string key; stream >> key >> value;) {
      if (key == "oom_kill") return value;
    }
    return UINT64_MAX;
  }

 private:
  bool Write(const char* file, uint64_t value) const {
    std::ofstream stream(path_ + "/" + file);
    stream << value << std::flush;
    return stream.good();
  }
  // Of version 2: what is in use but for page cache.
  uint64_t Unreclaimable() const {
    uint64_t cache = 0, value = 0;
    std::ifstream stream(path_ + "/memory.stat");
    for (std::string key; stream >> key >> value;) cache += key == "active_file" || key == "inactive_file" ? value : 0;
    const uint64_t used = Read("memory.current");
    return used - (cache < used ? cache : used);
  }
  uint64_t Read(const char* file) const {
    std::ifstream stream(path_ + "/" + file);
    uint64_t value = 0;
    stream >> value;
    return value;
  }
  std::string path_;
  bool version1_ = false;
  bool usable_ = false;
};

}  // namespace headrace
