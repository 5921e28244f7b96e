#include "learned/mirror_speeds.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/split_name.h"
#include "base/whole_disk.h"
#include "learned/machine_profile.h"

namespace headrace::cli {

namespace {

// As the library sees it: copies have the name of the file that links lead to.
Result<SourceFile> OpenReal(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  return SourceFile::Open(error ? path : real.string());
}

void FindSharedDisk(std::span<const DriveSpeed> before, DriveSpeed& drive) {
  for (const DriveSpeed& other : before) {
    drive.shared_disk = SharedDisk(drive.device, other.device);
    drive.other_path = drive.shared_disk.empty() ? "" : other.path;
    if (!drive.shared_disk.empty()) return;
  }
}

}  // namespace

std::vector<DriveSpeed> SpeedsOfDrives(const std::string& model_path, double model_bytes_per_s,
                                       std::span<const std::string> mirrors, const std::string& engine_version,
                                       std::vector<MirrorProblem>& problems, bool fresh) {
  std::vector<DriveSpeed> drives(1);
  drives[0].path = model_path;
  drives[0].bytes_per_s = model_bytes_per_s;
  if (mirrors.empty()) return drives;
  const auto model = OpenReal(model_path);
  if (!model.ok()) return drives;
  drives[0].device = model->identity().device;
  for (const auto& copy : OpenMirrors(*model, mirrors, SourceFile::Access::kDirect, problems)) {
    DriveSpeed drive;
    drive.path = copy->file().path();
    drive.device = copy->file().identity().device;
    const auto profile = MachineProfileFor(drive.path, engine_version, fresh);
    if (!profile.ok()) {
      problems.push_back(
          {drive.path, Status(Code::kIo, "its drive cannot be measured: " + profile.status().message())});
      continue;
    }
    drive.bytes_per_s = profile->disk_bytes_per_s;
    if (!copy->stripes().whole()) {
      drive.share = static_cast<double>(copy->stripes().share()) / static_cast<double>(Stripes::kWhole);
    }
    FindSharedDisk(drives, drive);
    drives.push_back(std::move(drive));
  }
  const auto split = ParseSplitName(model_path);
  for (uint32_t part = 2; split && part <= split->parts; ++part) {
    const auto file = OpenReal(split->PathOf(part));
    if (file.ok()) OpenMirrors(*file, mirrors, SourceFile::Access::kDirect, problems);
  }
  return drives;
}

std::string SharedDiskLine(const std::string& one, const std::string& other, const std::string& disk) {
  return fmt::format("{} and {} both lie on one disk ({}); a copy there brings no speed", one, other, disk);
}

std::vector<std::string> SharedDiskLines(std::span<const DriveSpeed> drives) {
  std::vector<std::string> lines;
  for (const DriveSpeed& drive : drives) {
    if (!drive.shared_disk.empty()) lines.push_back(SharedDiskLine(drive.other_path, drive.path, drive.shared_disk));
  }
  return lines;
}

double SpeedTogether(std::span<const DriveSpeed> drives) {
  if (drives.empty()) return 0;
  double speed = drives.front().bytes_per_s;
  for (const DriveSpeed& drive : drives.subspan(1)) {
    if (!drive.shared_disk.empty()) continue;
    // What does not lie there is read from the others.
    const double others = drive.share >= 1 ? speed + drive.bytes_per_s : speed / (1 - drive.share);
    speed = std::min(speed + drive.bytes_per_s, others);
  }
  return speed;
}

MachineProfile MachineSpeeds(const std::string& model_path, std::span<const std::string> mirrors,
                             const std::string& engine_version) {
  MachineProfile machine = MachineSpeeds(model_path, engine_version);
  std::vector<MirrorProblem> problems;  // who reads the model says the same
  machine.disk_bytes_per_s =
      SpeedTogether(SpeedsOfDrives(model_path, machine.disk_bytes_per_s, mirrors, engine_version, problems));
  return machine;
}

}  // namespace headrace::cli
