// headrace doctor: is this machine ready, and what would make it faster.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <thread>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/size.h"
#include "commands/commands.h"
#include "commands/doctor_checks.h"
#include "commands/doctor_test_file.h"
#include "report/exit_status.h"
#include "report/output.h"
#include "report/progress_line.h"
#include "setup/options.h"

namespace headrace::cli {
namespace {

constexpr const char* kDoctorExamples = R"(
Examples:
  headrace doctor                       the disk of this folder, with a file of 256 MiB
  headrace doctor model.gguf            the disk of the model, by reading the model
  headrace doctor /data/models --json
  headrace doctor model.gguf --mirror /mnt/second   the drives that hold copies of the model, too

Each line has a verdict: good, note (it works, but could be better), or bad (streaming will not work or makes no sense).
The exit status is 1 if a line is bad.
)";

constexpr uint64_t kTestFileBytes = 256 * kMiB;
// Smaller files end before the disk's queue is warm.
constexpr uint64_t kSmallestFile = 64 * kMiB;

struct DoctorOptions {
  std::string path = ".";
  std::string engine;
  FlashOptions flash;  // --mirror alone
  bool json = false;
};

void MeasureBoth(const std::string& path, ProgressLine& progress, DoctorFacts& facts) {
  const auto measure = [&](SourceFile::Access access, const char* name) -> std::optional<DiskSpeed> {
    const auto speed = MeasureDisk(path, access, DiskLimits{}, [&](double share) {
      progress.Show(fmt::format("measuring the disk, {}: {:.0f} %", name, 100 * share));
    });
    if (speed.ok()) return *speed;
    facts.disk_problem = speed.status().message();
    return std::nullopt;
  };
  facts.direct = measure(SourceFile::Access::kDirect, "O_DIRECT");
  // What the page cache holds of the file would be measured instead of the disk.
  if (const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC)); fd.valid())
    posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  if (facts.direct) facts.buffered = measure(SourceFile::Access::kBuffered, "buffered");
}

Status ExamineDisk(const std::string& path, DoctorFacts& facts) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return Status(Code::kNotFound, fmt::format("{}: {}; name a model file or a folder", path, std::strerror(errno)));
  }
  facts.disk_path = path;
  struct statfs system {};
  if (statfs(path.c_str(), &system) == 0)
    facts.file_system = FileSystemName(static_cast<uint64_t>(system.f_type) & 0xffffffff);
  facts.read_ahead_kib = ReadAheadKib(ReadTextFile, major(info.st_dev), minor(info.st_dev));
  ProgressLine progress;
  if (S_ISREG(info.st_mode) && static_cast<uint64_t>(info.st_size) >= kSmallestFile) {
    MeasureBoth(path, progress, facts);
    return {};
  }
  const std::string folder = S_ISDIR(info.st_mode) ? path : std::filesystem::absolute(path).parent_path().string();
  const auto file = DiskTestFile::Create(folder, kTestFileBytes, [&](double share) {
    progress.Show(fmt::format("writing a test file: {:.0f} %", 100 * share));
  });
  if (file.ok()) {
    MeasureBoth(file->path(), progress, facts);
  } else {
    facts.disk_problem = file.status().message();
  }
  return {};
}

void ExamineSystem(DoctorFacts& facts) {
  if (const auto text = ReadTextFile("/proc/meminfo")) facts.memory = ParseMeminfo(*text);
  facts.cgroup = FindCgroupLimit(ReadTextFile);
  facts.available = FindAvailableMemory(ReadTextFile, ReadAddressLimits());
  rlimit locked{};
  if (getrlimit(RLIMIT_MEMLOCK, &locked) == 0 && locked.rlim_cur != RLIM_INFINITY)
    facts.memlock_bytes = locked.rlim_cur;
  facts.huge_pages = ParseSelected(ReadTextFile("/sys/kernel/mm/transparent_hugepage/enabled").value_or(""));
  const std::string cpuinfo = ReadTextFile("/proc/cpuinfo").value_or("");
  facts.cpu_flags = ParseCpuFlags(cpuinfo);
  facts.cpu_model = ParseCpuModel(cpuinfo);
  facts.cpus = std::thread::hardware_concurrency();
}

void ExamineEngine(const std::string& option, DoctorFacts& facts) {
  const SearchPaths paths = SystemSearchPaths(option);
  if (const auto engine = LocateEngine(paths); engine.ok()) {
    facts.engine_directory = fmt::format("{} ({})", engine->bin_dir, engine->origin);
    facts.engine_version = QueryVersion(*engine);
    facts.ggml = CheckGgml(*engine);
    facts.device_library = MayHaveDevices(*engine, {});
    if (facts.device_library) facts.devices = QueryDevices(*engine, {});
    const auto library = LocateLibrary(paths);
    if (library.ok()) facts.verdict = LoadVerdict(*engine, *library);
    if (!facts.devices.empty() && facts.ggml.usable && library.ok()) {
      ProgressLine progress;
      progress.Show("measuring copies to devices");
      facts.copies = MeasureDevices(*engine, *library).copies;
    }
  } else {
    facts.engine_problem = engine.status().message();
  }
  if (auto library = LocateLibrary(paths); library.ok()) {
    facts.library = *library;
  } else {
    facts.library_problem = library.status().message();
  }
}

// Those that --mirror, the configuration or a variable names.
Status ExamineMirrors(const DoctorOptions& options, DoctorFacts& facts) {
  const auto resolved = ResolveConfig(
      options.flash, [](const char* name) { return std::getenv(name); }, facts.available);
  if (!resolved.ok()) return options.flash.mirrors.empty() ? Status() : resolved.status();
  const auto& mirrors = resolved->config.mirrors;
  struct stat info {};
  const bool is_model = stat(options.path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
  if (mirrors.empty() || !is_model) {
    if (options.flash.mirrors.empty()) return {};
    return Status(Code::kInvalidArgument, fmt::format("--mirror needs the model that it mirrors: headrace doctor MODEL "
                                                      "--mirror {}",
                                                      options.flash.mirrors[0]));
  }
  ProgressLine progress;
  progress.Show("measuring the drives of copies");
  facts.model = options.path;
  facts.drives =
      SpeedsOfDrives(options.path, facts.direct ? facts.direct->bytes_per_s : 0, mirrors,
                     facts.engine_version.empty() ? "none" : facts.engine_version, facts.mirror_problems, true);
  return {};
}

int Doctor(const DoctorOptions& options) {
  DoctorFacts facts;
  if (const Status status = ExamineDisk(options.path, facts); !status.ok()) return Fail(status);
  ExamineSystem(facts);
  ExamineEngine(options.engine, facts);
  if (const Status status = ExamineMirrors(options, facts); !status.ok()) return Fail(status);
  const std::vector<Check> checks = JudgeDoctor(facts);
  WriteOutput(options.json ? RenderDoctorJson(checks, facts) : RenderDoctorText(checks));
  for (const Check& check : checks) {
    if (check.verdict == Verdict::kBad) return kExitFailure;
  }
  return kExitOk;
}

}  // namespace

void AddDoctorCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("doctor", "Check disk, memory, processor and llama.cpp, and say what to do");
  command->footer(kDoctorExamples);
  const auto options = std::make_shared<DoctorOptions>();
  command->add_option("path", options->path, "A model file, or a folder on the disk to check")
      ->type_name("PATH")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Machine-readable output");
  AddMirrorOption(*command, options->flash.mirrors);
  AddEngineOption(*command, options->engine);
  command->callback([options, &line] { line.action = [options] { return Doctor(*options); }; });
}

}  // namespace headrace::cli
