#include "learned/mirror_speeds.h"

#include <algorithm>
#include <filesystem>

#include "io/mirror_copy.h"
#include "learned/machine_profile.h"

namespace headrace::cli {

std::vector<DriveSpeed> SpeedsOfDrives(const std::string& model_path, double model_bytes_per_s,
                                       std::span<const std::string> mirrors, const std::string& engine_version,
                                       std::vector<std::string>& notes) {
  std::vector<DriveSpeed> drives = {{model_path, model_bytes_per_s, 1}};
  if (mirrors.empty()) return drives;
  // Copies have the name of the file that links lead to.
  std::error_code error;
  const auto real = std::filesystem::canonical(model_path, error);
  const auto model = SourceFile::Open(error ? model_path : real.string());
  if (!model.ok()) return drives;
  for (const auto& copy : OpenMirrors(*model, mirrors, SourceFile::Access::kDirect, notes)) {
    const std::string& path = copy->file().path();
    const auto profile = MachineProfileFor(path, engine_version);
    if (!profile.ok()) {
      notes.push_back(path + ": its drive cannot be measured: " + profile.status().message());
      continue;
    }
    const double share = copy->stripes().whole()
                             ? 1
                             : static_cast<double>(copy->stripes().share()) / static_cast<double>(Stripes::kWhole);
    drives.push_back({path, profile->disk_bytes_per_s, share});
  }
  return drives;
}

double SpeedTogether(std::span<const DriveSpeed> drives) {
  if (drives.empty()) return 0;
  double speed = drives.front().bytes_per_s;
  for (const DriveSpeed& drive : drives.subspan(1)) {
    // What does not lie there is read from the others.
    const double others = drive.share >= 1 ? speed + drive.bytes_per_s : speed / (1 - drive.share);
    speed = std::min(speed + drive.bytes_per_s, others);
  }
  return speed;
}

MachineProfile MachineSpeeds(const std::string& model_path, std::span<const std::string> mirrors,
                             const std::string& engine_version) {
  MachineProfile machine = MachineSpeeds(model_path, engine_version);
  std::vector<std::string> notes;  // who reads the model says the same
  machine.disk_bytes_per_s =
      SpeedTogether(SpeedsOfDrives(model_path, machine.disk_bytes_per_s, mirrors, engine_version, notes));
  return machine;
}

}  // namespace headrace::cli
