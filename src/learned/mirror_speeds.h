// The drives that a model with mirrors is read from, and how fast they are together.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "io/mirror_copy.h"
#include "plan/prediction.h"

namespace headrace::cli {

struct DriveSpeed {
  std::string path;  // of the model, or of a copy
  double bytes_per_s = 0;
  double share = 1;  // of the model's bytes that lie there
  dev_t device = 0;
  // Of a drive before it, if both lie on one disk, which this one adds nothing to then; else empty.
  std::string other_path, shared_disk;
};

// The model's own drive with its speed, then those of its copies that can be used, each measured as the model's is, or
// known; `fresh`: measured now. What is of no use for one of the model's files goes to `problems`.
std::vector<DriveSpeed> SpeedsOfDrives(const std::string& model_path, double model_bytes_per_s,
                                       std::span<const std::string> mirrors, const std::string& engine_version,
                                       std::vector<MirrorProblem>& problems, bool fresh = false);

// That two of them are one disk, for the user.
std::string SharedDiskLine(const std::string& one, const std::string& other, const std::string& disk);
std::vector<std::string> SharedDiskLines(std::span<const DriveSpeed> drives);

// The speed of all of them: their sum, as far as the shares allow that. Pure.
double SpeedTogether(std::span<const DriveSpeed> drives);

// MachineSpeeds (learned/machine_profile.h) with the speed of all drives together.
MachineProfile MachineSpeeds(const std::string& model_path, std::span<const std::string> mirrors,
                             const std::string& engine_version);

}  // namespace headrace::cli
