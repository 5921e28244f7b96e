#include "commands/doctor_checks.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/size.h"
#include "base/whole_disk.h"

namespace headrace::cli {
namespace {

std::string Speed(double bytes_per_s) { return fmt::format("{:.2f} GB/s", bytes_per_s / 1e9); }

Check CheckDisk(const DoctorFacts& facts) {
  if (!facts.direct) {
    return {"disk", "not measured", Verdict::kBad,
            facts.disk_problem +
                "; name a larger model file, or a folder on its disk that you can write to: headrace "
                "doctor PATH"};
  }
  std::string value =
      Speed(facts.direct->bytes_per_s) + (facts.direct->direct ? " with O_DIRECT" : " through the page cache");
  if (facts.direct->direct && facts.buffered) value += ", " + Speed(facts.buffered->bytes_per_s) + " buffered";
  value += fmt::format(" ({})", facts.direct->reader);
  if (!facts.direct->direct) {
    return {"disk", value, Verdict::kNote,
            "this file system refuses O_DIRECT: reads go through the page cache and are dropped "
            "behind; a model on ext4 or xfs streams faster"};
  }
  if (facts.direct->bytes_per_s < 1e9) {
    return {"disk", value, Verdict::kNote,
            fmt::format("a slow disk: 4 GB streamed per token take {:.1f} s; put models on an NVMe "
                        "disk or raise --ram",
                        4e9 / facts.direct->bytes_per_s)};
  }
  return {
      "disk", value, Verdict::kGood,
      fmt::format("decode reaches at most {:.2f} tokens/s for each GB that streams", facts.direct->bytes_per_s / 1e9)};
}

Check CheckFileSystem(const DoctorFacts& facts) {
  const std::string& name = facts.file_system;
  if (name == "tmpfs" || name == "ramfs") {
    return {"file_system", name, Verdict::kBad,
            "its files lie in memory already: streaming from there saves nothing; put models on a disk"};
  }
  if (name == "nfs" || name == "cifs" || name == "smb2" || name == "fuse" || name == "9p") {
    return {"file_system", name, Verdict::kNote,
            "a network or user-space file system: a local disk is faster and steadier"};
  }
  if (name == "btrfs" || name == "zfs" || name == "squashfs") {
    return {"file_system", name, Verdict::kNote,
            "compression or checksums can slow direct reads; on btrfs, chattr +C on a new folder avoids both"};
  }
  return {"file_system", name.empty() ? "unknown" : name, Verdict::kGood, "nothing to do"};
}

Check CheckReadAhead(const DoctorFacts& facts) {
  if (!facts.read_ahead_kib)
    return {"read_ahead", "unknown", Verdict::kNote, "the system does not say; streamed reads do not depend on it"};
  return {"read_ahead", fmt::format("{} KiB", *facts.read_ahead_kib), Verdict::kGood,
          *facts.read_ahead_kib < 1024
              ? "streamed reads do not depend on it; stock llama.cpp with mmap is slow with so little"
              : "streamed reads do not depend on it"};
}

Check CheckMemory(const DoctorFacts& facts) {
  if (facts.available.bytes == 0)
    return {"memory", "unknown", Verdict::kNote, "/proc/meminfo cannot be read: always give --ram"};
  std::string value = fmt::format("{} available", FormatSize(facts.available.bytes));
  if (facts.memory) value += fmt::format(" of {}", FormatSize(facts.memory->total_bytes));
  const bool little = facts.available.bytes < kGiB;
  return {
      "memory", value, little ? Verdict::kNote : Verdict::kGood,
      fmt::format("without --ram a process gets {}, a tenth less ({}){}",
                  FormatSize(facts.available.bytes - MarginBytes(facts.available.bytes)), facts.available.limited_by,
                  little ? "; close other programs, or use a model with smaller matrices" : "")};
}

Check CheckCgroup(const DoctorFacts& facts) {
  if (!facts.cgroup) return {"memory_limit", "none", Verdict::kGood, "no cgroup limits this process"};
  const CgroupLimit& limit = *facts.cgroup;
  return {"memory_limit",
          fmt::format("{} by cgroup v{}, {} of it free", FormatSize(limit.limit_bytes), limit.version,
                      FormatSize(limit.available_bytes())),
          limit.available_bytes() < kGiB ? Verdict::kNote : Verdict::kGood,
          fmt::format("above it the kernel kills the engine; --ram auto stays below ({})", limit.directory)};
}

Check CheckMemlock(const DoctorFacts& facts) {
  if (!facts.memlock_bytes) return {"locked_memory", "unlimited", Verdict::kGood, "nothing to do"};
  const bool little = *facts.memlock_bytes < 8 * kMiB;
  return {"locked_memory", FormatSize(*facts.memlock_bytes), little ? Verdict::kNote : Verdict::kGood,
          little
              ? "kernels before 5.12 refuse io_uring with so little (reads then use threads); raise `ulimit -l` there"
              : "nothing to do"};
}

Check CheckHugePages(const DoctorFacts& facts) {
  if (facts.huge_pages == "always" || facts.huge_pages == "madvise") {
    return {"huge_pages", facts.huge_pages, Verdict::kGood, "resident weights use them"};
  }
  return {"huge_pages", facts.huge_pages.empty() ? "unknown" : facts.huge_pages, Verdict::kNote,
          "resident weights are read a little slower; echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (as "
          "root)"};
}

Check CheckCpu(const DoctorFacts& facts) {
  const std::string features = DescribeCpu(facts.cpu_flags);
  const std::string value =
      fmt::format("{} threads, {}", facts.cpus, features.empty() ? "no vector units that ggml uses" : features);
  const bool fast = facts.cpu_flags.count("avx2") > 0 || facts.cpu_flags.count("asimd") > 0;
  return {"cpu", value, fast ? Verdict::kGood : Verdict::kNote,
          fast ? (facts.cpu_model.empty() ? "nothing to do" : facts.cpu_model)
               : "without AVX2 (or NEON) prompts are slow; in a virtual machine, pass the host's CPU type on"};
}

Check CheckEngine(const DoctorFacts& facts) {
  if (!facts.engine_problem.empty()) return {"engine", "none", Verdict::kBad, facts.engine_problem};
  const std::string value = fmt::format("llama.cpp {}, ggml {}", facts.engine_version,
                                        facts.ggml.version.empty() ? "unknown" : facts.ggml.version);
  if (!facts.ggml.usable) {
    return {"engine", value, Verdict::kBad,
            "it cannot stream: " + facts.ggml.problem + "; run `headrace engine install`"};
  }
  const std::string checked = DescribeVerdict(facts.verdict);
  if (facts.verdict && !facts.verdict->same) {
    return {
        "engine", value, Verdict::kBad,
        fmt::format("it gives different results with streamed weights ({}); run `headrace engine install`", checked)};
  }
  if (!facts.ggml.off.empty()) return {"engine", value, Verdict::kNote, "it can stream, but " + facts.ggml.off};
  return {"engine", value, Verdict::kGood, fmt::format("{}; {}", facts.engine_directory, checked)};
}

const CopySpeed* CopyTo(const DoctorFacts& facts, const Device& device) {
  const auto found = std::find_if(facts.copies.begin(), facts.copies.end(),
                                  [&](const CopySpeed& copy) { return copy.device == device.name; });
  return found == facts.copies.end() ? nullptr : &*found;
}

std::string DescribeCopy(const CopySpeed* copy) {
  if (copy == nullptr) return "copies not measured";
  if (copy->staged_bytes_per_s == 0) return "copies at " + Speed(copy->bytes_per_s);
  return fmt::format("copies at {} ({} from ordinary memory)", Speed(copy->staged_bytes_per_s),
                     Speed(copy->bytes_per_s));
}

// What the copies mean, for the devices that are used by themselves.
std::string CopyAdvice(const DoctorFacts& facts) {
  double slowest = 0;
  for (const Device& device : facts.devices) {
    const CopySpeed* copy = CopyTo(facts, device);
    if (device.shares_memory || copy == nullptr) continue;
    slowest = slowest == 0 ? copy->upload_bytes_per_s() : std::min(slowest, copy->upload_bytes_per_s());
  }
  if (slowest == 0 || !facts.direct) return "";
  return slowest >= facts.direct->bytes_per_s
             ? "; prompts copy the weights that are not there, faster than this disk reads them"
             : fmt::format(
                   "; prompts copy the weights that are not there, slower than this disk reads them: a prompt's pass "
                   "takes at least {:.1f} s for each 10 GB",
                   10e9 / slowest);
}

Check CheckDevices(const DoctorFacts& facts) {
  if (facts.engine_directory.empty()) return {"devices", "unknown", Verdict::kNote, "unknown without a llama.cpp"};
  if (facts.devices.empty()) {
    return {"devices", "none", Verdict::kGood,
            facts.device_library
                ? "this llama.cpp has a library for graphics cards but finds none: a driver may be missing"
                : "this llama.cpp computes on the processor"};
  }
  std::string value, shared;
  bool any = false;
  for (const Device& device : facts.devices) {
    value +=
        fmt::format("{}{}: {}, {} of {} free, {}", value.empty() ? "" : "; ", device.name, device.description,
                    FormatSize(device.free_bytes), FormatSize(device.total_bytes), DescribeCopy(CopyTo(facts, device)));
    if (device.shares_memory) shared += (shared.empty() ? "" : ", ") + device.name;
    any = any || (!device.shares_memory && device.free_bytes > kDeviceMargin * kMiB);
  }
  if (any) {
    return {"devices", value, Verdict::kGood,
            fmt::format("a model may use what is free there, less {} of each; --vram sets the size, `headrace plan "
                        "MODEL` shows what goes there{}",
                        FormatSize(kDeviceMargin * kMiB), CopyAdvice(facts))};
  }
  return {"devices", value, Verdict::kNote,
          shared.empty()
              ? fmt::format("less than {} are free: models stay in memory; --vram SIZE uses them anyway",
                            FormatSize(kDeviceMargin * kMiB))
              : fmt::format("{} uses the machine's memory: models stay in memory; --vram SIZE uses it anyway", shared)};
}

Check CheckLibrary(const DoctorFacts& facts) {
  if (facts.library.empty()) return {"library", "missing", Verdict::kBad, facts.library_problem};
  return {"library", facts.library, Verdict::kGood, "nothing to do"};
}

Check CheckDrive(const DriveSpeed& drive) {
  const std::string share = drive.share >= 1 ? "all" : fmt::format("{:.0f} %", 100 * drive.share);
  Check check{"drive",
              fmt::format("{}: {} of the model, {} on {}", drive.path, share, Speed(drive.bytes_per_s),
                          NameOfDevice(drive.device)),
              Verdict::kGood, "nothing to do"};
  if (!drive.shared_disk.empty()) {
    check.verdict = Verdict::kNote;
    check.advice = SharedDiskLine(drive.other_path, drive.path, drive.shared_disk);
  }
  return check;
}

std::string FolderOf(const std::string& mirror) {
  std::error_code error;
  return std::filesystem::is_directory(mirror, error) ? mirror : std::filesystem::path(mirror).parent_path().string();
}

Check CheckMirror(const MirrorProblem& problem, const std::string& model) {
  const std::string copy = fmt::format("headrace mirror {} {}", model, FolderOf(problem.mirror));
  std::string advice;
  switch (problem.why.code()) {
    case Code::kNotFound:
      advice = copy;
      break;
    case Code::kCorrupt:
      advice = "if it is a copy of an older file, delete it, then: " + copy;
      break;
    case Code::kInvalidArgument:
      advice = "make a copy on another drive: headrace mirror " + model + " DIR";
      break;
    default:
      advice = "the copy must be readable; look at its drive and its rights, then: headrace mirror --verify " + model +
               " " + FolderOf(problem.mirror);
  }
  return {"mirror", fmt::format("{}: not used: {}", problem.mirror, problem.why.message()), Verdict::kNote, advice};
}

}  // namespace

const char* ToString(Verdict verdict) {
  return verdict == Verdict::kGood ? "good" : verdict == Verdict::kNote ? "note" : "bad";
}

std::vector<Check> JudgeDoctor(const DoctorFacts& facts) {
  std::vector<Check> checks = {CheckDisk(facts),   CheckFileSystem(facts), CheckReadAhead(facts), CheckMemory(facts),
                               CheckCgroup(facts), CheckMemlock(facts),    CheckHugePages(facts), CheckCpu(facts),
                               CheckEngine(facts), CheckDevices(facts),    CheckLibrary(facts)};
  for (const DriveSpeed& drive : facts.drives) checks.push_back(CheckDrive(drive));
  for (const MirrorProblem& problem : facts.mirror_problems) checks.push_back(CheckMirror(problem, facts.model));
  return checks;
}

}  // namespace headrace::cli
