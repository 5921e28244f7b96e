// The rendering of doctor_checks.h.
#include <nlohmann/json.hpp>

#include "base/whole_disk.h"
#include "commands/doctor_checks.h"
#include "report/text_table.h"

namespace headrace::cli {

using Json = nlohmann::json;

std::string RenderDoctorText(const std::vector<Check>& checks) {
  using Align = TextTable::Align;
  TextTable table({Align::kLeft, Align::kLeft, Align::kLeft});
  for (const Check& check : checks) {
    std::string name = check.key;
    for (char& c : name) c = c == '_' ? ' ' : c;
    table.AddRow({ToString(check.verdict), name, check.value});
    table.AddRow({"", "", check.advice});
  }
  return table.Render();
}

std::string RenderDoctorJson(const std::vector<Check>& checks, const DoctorFacts& facts) {
  Json list = Json::array();
  for (const Check& check : checks) {
    list.push_back(
        {{"key", check.key}, {"value", check.value}, {"verdict", ToString(check.verdict)}, {"advice", check.advice}});
  }
  const auto speed = [](const std::optional<DiskSpeed>& disk) { return disk ? Json(disk->bytes_per_s) : Json(); };
  Json devices = Json::array();
  for (const Device& device : facts.devices) {
    Json entry = {{"name", device.name},
                  {"description", device.description},
                  {"total_bytes", device.total_bytes},
                  {"free_bytes", device.free_bytes},
                  {"copy_bytes_per_s", nullptr},
                  {"staged_copy_bytes_per_s", nullptr}};
    for (const CopySpeed& copy : facts.copies) {
      if (copy.device != device.name) continue;
      entry["copy_bytes_per_s"] = copy.bytes_per_s;
      if (copy.staged_bytes_per_s > 0) entry["staged_copy_bytes_per_s"] = copy.staged_bytes_per_s;
    }
    devices.push_back(std::move(entry));
  }
  Json drives = Json::array();
  for (const DriveSpeed& drive : facts.drives) {
    drives.push_back({{"path", drive.path},
                      {"device", NameOfDevice(drive.device)},
                      {"bytes_per_s", drive.bytes_per_s},
                      {"share", drive.share},
                      {"shares_disk", drive.shared_disk}});
  }
  const Json values = {{"disk_path", facts.disk_path},
                       {"disk_direct_bytes_per_s", facts.direct && facts.direct->direct ? speed(facts.direct) : Json()},
                       {"disk_buffered_bytes_per_s", speed(facts.buffered)},
                       {"file_system", facts.file_system},
                       {"read_ahead_bytes", facts.read_ahead_kib ? Json(*facts.read_ahead_kib * 1024) : Json()},
                       {"memory_total_bytes", facts.memory ? Json(facts.memory->total_bytes) : Json()},
                       {"memory_available_bytes", facts.available.bytes},
                       {"cgroup_limit_bytes", facts.cgroup ? Json(facts.cgroup->limit_bytes) : Json()},
                       {"cgroup_version", facts.cgroup ? Json(facts.cgroup->version) : Json()},
                       {"locked_memory_bytes", facts.memlock_bytes ? Json(*facts.memlock_bytes) : Json()},
                       {"huge_pages", facts.huge_pages},
                       {"cpus", facts.cpus},
                       {"cpu_features", DescribeCpu(facts.cpu_flags)},
                       {"engine_version", facts.engine_version},
                       {"engine_directory", facts.engine_directory},
                       {"ggml_version", facts.ggml.version},
                       {"ggml_usable", facts.ggml.usable},
                       {"devices", devices},
                       {"drives", drives},
                       {"library", facts.library}};
  const Json json = {{"checks", list}, {"facts", values}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace headrace::cli
