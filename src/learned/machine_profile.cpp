#include "learned/machine_profile.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmath>
#include <ctime>

#include <fmt/format.h>

#include "base/cache_directory.h"
#include "base/json.h"
#include "base/small_file.h"
#include "base/text_file.h"
#include "learned/machine_measure.h"

namespace headrace::cli {
namespace {

constexpr int kProfileVersion = 1;

// A finite number above zero (or zero where `optional`) of `object`.
bool ReadPositive(const Json& object, const char* name, bool optional, double& value) {
  const auto it = object.find(name);
  if (it == object.end()) return optional;
  if (!it->is_number()) return false;
  value = it->get<double>();
  return std::isfinite(value) && (value > 0 || (optional && value == 0)) && value < 1e18;
}

std::optional<ProfileEntry> ParseEntry(const Json& object) {
  if (!object.is_object()) return std::nullopt;
  ProfileEntry entry;
  double measured_at = 0;
  if (!ReadPositive(object, "disk_bytes_per_s", false, entry.disk_bytes_per_s) ||
      !ReadPositive(object, "memory_bytes_per_s", true, entry.memory_bytes_per_s) ||
      !ReadPositive(object, "prompt_flops_per_s", true, entry.prompt_flops_per_s) ||
      !ReadPositive(object, "measured_at", false, measured_at)) {
    return std::nullopt;
  }
  entry.measured_at = static_cast<int64_t>(measured_at);
  const auto direct = object.find("direct");
  entry.direct = direct != object.end() && direct->is_boolean() && direct->get<bool>();
  const auto disturbed = object.find("disturbed");
  entry.disturbed = disturbed != object.end() && disturbed->is_boolean() && disturbed->get<bool>();
  return entry;
}

Result<std::string> KeyOf(const std::string& model_path, const std::string& engine_version) {
  struct stat info {};
  if (stat(model_path.c_str(), &info) != 0) return Status(Code::kNotFound, model_path + ": no such file");
  return ProfileKey(info.st_dev, engine_version);
}

}  // namespace

std::string ProfileKey(uint64_t device, std::string_view engine_version) {
  return fmt::format("{}:{} | {}", gnu_dev_major(device), gnu_dev_minor(device), engine_version);
}

ProfileEntries ParseProfiles(std::string_view text) {
  ProfileEntries entries;
  const Json json = JsonOrNull(text);
  if (!json.is_object() || json.value("version", Json()) != kProfileVersion) return entries;
  const auto list = json.find("machines");
  if (list == json.end() || !list->is_object()) return entries;
  for (const auto& [key, value] : list->items()) {
    if (const auto entry = ParseEntry(value)) entries.emplace(key, *entry);
  }
  return entries;
}

std::string RenderProfiles(const ProfileEntries& entries) {
  Json machines = Json::object();
  for (const auto& [key, entry] : entries) {
    machines[key] = {{"disk_bytes_per_s", entry.disk_bytes_per_s},
                     {"direct", entry.direct},
                     {"disturbed", entry.disturbed},
                     {"memory_bytes_per_s", entry.memory_bytes_per_s},
                     {"prompt_flops_per_s", entry.prompt_flops_per_s},
                     {"measured_at", entry.measured_at}};
  }
  const Json document = {{"version", kProfileVersion}, {"machines", machines}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string ProfilePath() {
  const std::string directory = CacheDirectory();
  return directory.empty() ? "" : directory + "/machine.json";
}

std::optional<ProfileEntry> LoadProfile(const std::string& path, const std::string& key, int64_t now) {
  const auto text = path.empty() ? std::nullopt : ReadTextFile(path);
  if (!text) return std::nullopt;
  const ProfileEntries entries = ParseProfiles(*text);
  const auto it = entries.find(key);
  if (it == entries.end()) return std::nullopt;
  const int64_t age = now - it->second.measured_at;
  if (age < 0 || age > (it->second.disturbed ? kDisturbedLifetimeSeconds : kProfileLifetimeSeconds))
    return std::nullopt;
  return it->second;
}

void StoreProfile(const std::string& path, const std::string& key, const ProfileEntry& entry) {
  if (path.empty()) return;
  ProfileEntries entries;
  if (const auto text = ReadTextFile(path)) entries = ParseProfiles(*text);
  entries[key] = entry;
  [[maybe_unused]] const Status harmless = ReplaceFile(path, RenderProfiles(entries));
}

Result<ProfileEntry> MachineProfileFor(const std::string& model_path, const std::string& engine_version, bool fresh) {
  const auto key = KeyOf(model_path, engine_version);
  if (!key.ok()) return key.status();
  const std::string path = ProfilePath();
  const int64_t now = std::time(nullptr);
  const auto cached = LoadProfile(path, *key, now);
  if (cached && !fresh) return *cached;
  const auto disk = MeasureDisk(model_path, SourceFile::Access::kDirect, DiskLimits{});
  if (!disk.ok()) return disk.status();
  ProfileEntry entry;
  entry.disk_bytes_per_s = disk->bytes_per_s;
  entry.direct = disk->direct;
  entry.disturbed = disk->disturbed;
  entry.memory_bytes_per_s = MeasureMemory();
  entry.prompt_flops_per_s = cached ? cached->prompt_flops_per_s : 0;
  entry.measured_at = now;
  StoreProfile(path, *key, entry);
  return entry;
}

void RememberPromptFlops(const std::string& model_path, const std::string& engine_version, double flops_per_s) {
  const auto key = KeyOf(model_path, engine_version);
  if (!key.ok()) return;
  auto entry = LoadProfile(ProfilePath(), *key, std::time(nullptr));
  if (!entry || !std::isfinite(flops_per_s) || flops_per_s <= 0) return;
  entry->prompt_flops_per_s = flops_per_s;
  StoreProfile(ProfilePath(), *key, *entry);
}

MachineProfile ToMachineProfile(const ProfileEntry& entry) {
  MachineProfile machine;
  machine.disk_bytes_per_s = entry.disk_bytes_per_s;
  machine.decode_bytes_per_s = entry.memory_bytes_per_s;
  machine.prompt_flops_per_s = entry.prompt_flops_per_s;
  return machine;
}

MachineProfile MachineSpeeds(const std::string& model_path, const std::string& engine_version) {
  const auto profile = MachineProfileFor(model_path, engine_version);
  return profile.ok() ? ToMachineProfile(*profile) : MachineProfile();
}

}  // namespace headrace::cli
