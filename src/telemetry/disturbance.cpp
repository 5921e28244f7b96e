#include "telemetry/disturbance.h"

#include <dirent.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/text_file.h"

namespace headrace {
namespace {

constexpr uint64_t kSectorBytes = 512;  // of these counters, whatever the disk's own are

struct FolderCloser {
  void operator()(DIR* folder) const { closedir(folder); }
};

// How long processors ran for others than this process since the system started, what the host of a virtual machine
// took among it.
std::optional<uint64_t> OthersRanNs() {
  const auto text = ReadTextFile("/proc/stat");
  uint64_t user = 0, nice = 0, system = 0, irq = 0, softirq = 0, steal = 0;
  if (!text || std::sscanf(text->c_str(), "cpu %lu %lu %lu %*u %*u %lu %lu %lu", &user, &nice, &system, &irq, &softirq,
                           &steal) != 6)
    return std::nullopt;
  timespec own{};
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own) != 0) return std::nullopt;
  const uint64_t all =
      (user + nice + system + irq + softirq + steal) * (1'000'000'000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK)));
  const uint64_t own_ns = static_cast<uint64_t>(own.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(own.tv_nsec);
  return all - std::min(all, own_ns);
}

// Read and written since the system started. A partition or mapped device has its own.
std::optional<uint64_t> MovedBytes(uint64_t device) {
  const auto text =
      ReadTextFile(fmt::format("/sys/dev/block/{}:{}/stat", gnu_dev_major(device), gnu_dev_minor(device)));
  uint64_t read = 0, written = 0;
  if (!text || std::sscanf(text->c_str(), "%*u %*u %lu %*u %*u %*u %lu", &read, &written) != 2) return std::nullopt;
  return (read + written) * kSectorBytes;
}

}  // namespace

uint64_t Disturbance::Take(const OwnDisk& disk) {
  const uint64_t waited = TakeThreads(), others = TakeProcessors();
  return std::min(waited, others) + TakeDisk(disk);
}

uint64_t Disturbance::TakeProcessors() {
  const auto now = OthersRanNs();
  if (!now) return std::numeric_limits<uint64_t>::max();
  return *now - std::min(*now, std::exchange(others_ran_ns_, *now));
}

uint64_t Disturbance::TakeThreads() {
  std::map<uint64_t, uint64_t> now;
  uint64_t longest = 0;
  const std::unique_ptr<DIR, FolderCloser> folder(opendir("/proc/self/task"));
  while (folder != nullptr) {
    const dirent* const entry = readdir(folder.get());
    if (entry == nullptr) break;
    if (entry->d_name[0] == '.') continue;
    // Time on a processor, time waiting for one.
    const auto text = ReadTextFile(fmt::format("/proc/self/task/{}/schedstat", entry->d_name));
    uint64_t waited = 0;
    if (!text || std::sscanf(text->c_str(), "%*u %lu", &waited) != 1) continue;
    const uint64_t thread = std::strtoull(entry->d_name, nullptr, 10);
    now[thread] = waited;
    const auto before = waited_ns_.find(thread);
    const uint64_t since = before == waited_ns_.end() ? waited : waited - std::min(waited, before->second);
    longest = std::max(longest, since);
  }
  waited_ns_ = std::move(now);
  return std::exchange(threads_known_, true) ? longest : 0;
}

uint64_t Disturbance::TakeDisk(const OwnDisk& disk) {
  const auto moved = disk.device != 0 && disk.bytes_per_s > 0 ? MovedBytes(disk.device) : std::nullopt;
  const bool same = moved && device_ == disk.device;
  const uint64_t all = same ? *moved - std::min(*moved, moved_bytes_) : 0,
                 own = disk.bytes - std::min(disk.bytes, own_bytes_);
  device_ = moved ? disk.device : 0;
  moved_bytes_ = moved.value_or(0);
  own_bytes_ = disk.bytes;
  return all <= own ? 0 : static_cast<uint64_t>(static_cast<double>(all - own) / disk.bytes_per_s * 1e9);
}

}  // namespace headrace
