// The measured speeds of this machine, kept between runs in a small JSON file so that a command does not
// measure each time. A file that is missing, corrupt, old or of another engine is measured again, silently.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "plan/prediction.h"

namespace headrace::cli {

struct ProfileEntry {
  double disk_bytes_per_s = 0;
  bool direct = false;     // measured with O_DIRECT
  bool disturbed = false;  // while other programs used the disk or the processor: soon measured again
  double memory_bytes_per_s = 0;
  double prompt_flops_per_s = 0;  // 0: unknown until `headrace bench`
  int64_t measured_at = 0;        // seconds since 1970
};

// "254:0 | 0.7.0 (build 11669)": the disk of the model and the engine whose kernels were measured.
std::string ProfileKey(uint64_t device, std::string_view engine_version);

using ProfileEntries = std::map<std::string, ProfileEntry>;
// Ignores everything that is not a whole, plausible entry.
ProfileEntries ParseProfiles(std::string_view json);
std::string RenderProfiles(const ProfileEntries& entries);

// How long a measurement is believed.
inline constexpr int64_t kProfileLifetimeSeconds = 30 * 24 * 3600;
inline constexpr int64_t kDisturbedLifetimeSeconds = 600;

// The file; "" where there is no home.
std::string ProfilePath();
std::optional<ProfileEntry> LoadProfile(const std::string& path, const std::string& key, int64_t now);
// Replaces one entry, keeping the others; the file is replaced in one step. A failure is harmless.
void StoreProfile(const std::string& path, const std::string& key, const ProfileEntry& entry);

// The cached entry for the model's disk, or a measurement of it (0.7 s, and 0.2 s for the memory), stored.
// `fresh` measures in any case, keeping the prompt speed that is known.
Result<ProfileEntry> MachineProfileFor(const std::string& model_path, const std::string& engine_version,
                                       bool fresh = false);
// Keeps a prompt speed that `bench` measured.
void RememberPromptFlops(const std::string& model_path, const std::string& engine_version, double flops_per_s);

MachineProfile ToMachineProfile(const ProfileEntry& entry);
// Of MachineProfileFor; all zero where nothing can be measured.
MachineProfile MachineSpeeds(const std::string& model_path, const std::string& engine_version);

}  // namespace headrace::cli
